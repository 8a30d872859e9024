//! Which value of a class mask is which class of the annotations.

use std::collections::{BTreeMap, HashMap};
use std::path::Path;

use glass_metrics::IGNORE;

use crate::eval::EvalError;
use crate::eval::given::{GROUND, UNDECIDED};

/// Values of class masks → classes of the annotations, 1 the first.
#[derive(Debug, Clone)]
pub struct ClassValues {
    classes: HashMap<i64, u16>,
}

impl ClassValues {
    /// Value n is the n-th class of the annotations, in the order of their ids: what the captioner's vocabularies do.
    pub fn in_order(classes: usize) -> Self {
        Self { classes: (1..=classes).map(|class| (class as i64, class as u16)).collect() }
    }

    /// A class list: a name a line, the first line value 1, or `VALUE NAME`. Names are those of the annotations; case,
    /// blanks, hyphens and underscores do not matter. Empty lines and lines that start with `#` are passed over.
    ///
    /// # Errors
    /// [`EvalError::File`], and [`EvalError::Given`] for a name or value that does not fit.
    pub fn read(path: &Path, names: &[String]) -> Result<Self, EvalError> {
        let text = std::fs::read_to_string(path).map_err(EvalError::read(path))?;
        let refuse = |number: usize, problem: String| EvalError::Given {
            path: path.to_owned(),
            field: format!("line {number}"),
            problem,
            hint: format!("classes of the annotations are {}", listed(names)),
        };
        let known: BTreeMap<String, u16> =
            names.iter().enumerate().map(|(index, name)| (plain(name), index as u16 + 1)).collect();
        let mut classes = HashMap::new();
        let lines = text.lines().enumerate().map(|(index, line)| (index + 1, line.trim()));
        let used = lines.filter(|(_, line)| !line.is_empty() && !line.starts_with('#'));
        for (place, (number, line)) in used.enumerate() {
            let (value, name) = match line.split_once(char::is_whitespace) {
                Some((value, name)) if value.parse::<i64>().is_ok() => (value.parse().unwrap_or_default(), name.trim()),
                _ => (place as i64 + 1, line),
            };
            if value == GROUND {
                continue;
            }
            let class = known.get(&plain(name));
            let &class =
                class.ok_or_else(|| refuse(number, format!("names `{name}`, which the annotations have not")))?;
            if classes.insert(value, class).is_some() {
                return Err(refuse(number, format!("gives the value {value} a second time")));
            }
        }
        if classes.is_empty() {
            return Err(refuse(1, "is the end of a list without classes".into()));
        }
        Ok(Self { classes })
    }

    /// The class of each value, 0 for ground, [`IGNORE`] for undecided pixels.
    ///
    /// # Errors
    /// The value that is no class.
    pub fn labels(&self, values: &[i64]) -> Result<Vec<u16>, i64> {
        let class = |&value: &i64| match (self.classes.get(&value), value) {
            (Some(&class), _) => Ok(class),
            (None, GROUND) => Ok(0),
            (None, UNDECIDED) => Ok(IGNORE),
            (None, value) => Err(value),
        };
        values.iter().map(class).collect()
    }
}

/// A name as it is compared.
fn plain(name: &str) -> String {
    name.chars().filter(|letter| letter.is_alphanumeric()).flat_map(char::to_lowercase).collect()
}

fn listed(names: &[String]) -> String {
    const SHOWN: usize = 12;
    let shown: Vec<String> = names.iter().take(SHOWN).map(|name| format!("`{name}`")).collect();
    let more = if names.len() > SHOWN { format!(" and {} more", names.len() - SHOWN) } else { String::new() };
    shown.join(", ") + &more
}
