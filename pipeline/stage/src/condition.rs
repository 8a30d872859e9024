//! `--where KEY=PATTERN`: which quarantine rows are meant.

use glass_schemas::dataset::QuarantineRow;

/// One condition on a quarantine row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Condition {
    column: Column,
    pattern: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Column {
    Stage,
    Shard,
    Sample,
    Item,
    Class,
    Message,
}

const COLUMNS: [(&str, Column); 6] = [
    ("stage", Column::Stage),
    ("shard", Column::Shard),
    ("sample", Column::Sample),
    ("item", Column::Item),
    ("class", Column::Class),
    ("message", Column::Message),
];

impl std::str::FromStr for Condition {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let names = || COLUMNS.map(|(name, _)| name).join(", ");
        let (key, pattern) = text.split_once('=').ok_or("write KEY=PATTERN, e.g. class=unreadable")?;
        let column = COLUMNS.iter().find(|(name, _)| *name == key.trim());
        let (_, column) = column.ok_or_else(|| format!("`{key}` is none of {}", names()))?;
        Ok(Self { column: *column, pattern: pattern.trim().to_owned() })
    }
}

impl std::fmt::Display for Condition {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let name = COLUMNS.iter().find(|(_, column)| *column == self.column);
        write!(f, "{}={}", name.map_or("", |(name, _)| name), self.pattern)
    }
}

impl Condition {
    /// Whether a row is meant.
    pub fn holds(&self, row: &QuarantineRow) -> bool {
        let matches = |value: &str| matches(&self.pattern, value);
        match self.column {
            Column::Stage => matches(&row.stage),
            Column::Shard => self.pattern.parse() == Ok(row.shard),
            Column::Sample => row.sample_id.is_some_and(|id| matches(&id.to_string())),
            Column::Item => matches(&row.item),
            Column::Class => matches(&row.error_class),
            Column::Message => matches(&row.message),
        }
    }
}

/// Whether `value` is `pattern`, in which `*` stands for any text.
fn matches(pattern: &str, value: &str) -> bool {
    let Some((head, rest)) = pattern.split_once('*') else {
        return pattern == value;
    };
    let Some(mut value) = value.strip_prefix(head) else {
        return false;
    };
    let mut parts: Vec<&str> = rest.split('*').collect();
    let last = parts.pop().unwrap_or_default();
    for part in parts {
        match value.find(part) {
            Some(place) => value = &value[place + part.len()..],
            None => return false,
        }
    }
    value.ends_with(last)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_star_stands_for_any_text() {
        for (pattern, value, expected) in [
            ("unreadable", "unreadable", true),
            ("unreadable", "unreadable-image", false),
            ("*.jpg", "a/b.jpg", true),
            ("a*c*e", "abcde", true),
            ("a*c*e", "abcd", false),
            ("*", "", true),
            ("ab*ba", "aba", false),
        ] {
            assert_eq!(matches(pattern, value), expected, "{pattern} {value}");
        }
    }

    #[test]
    fn an_unknown_column_is_refused_with_the_known_ones() {
        let error = "colour=red".parse::<Condition>();
        assert_eq!(error, Err("`colour` is none of stage, shard, sample, item, class, message".to_owned()));
        assert!("class".parse::<Condition>().is_err());
    }
}
