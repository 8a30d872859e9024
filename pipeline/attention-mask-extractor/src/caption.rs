//! Whether a caption names a class.

/// Plurals that no rule makes; the captioner's dictionary knows synonyms, this only the name
/// itself.
const IRREGULAR: [(&str, &str); 8] = [
    ("person", "people"),
    ("mouse", "mice"),
    ("knife", "knives"),
    ("sheep", "sheep"),
    ("goose", "geese"),
    ("man", "men"),
    ("woman", "women"),
    ("child", "children"),
];

/// Whether the words of `class`, the last one singular or plural, stand in `caption`. Case,
/// punctuation and blanks do not matter: `pottedplant` is named by "two potted plants".
pub(crate) fn names(caption: &str, class: &str) -> bool {
    let wanted = words(class).concat();
    let caption = words(caption);
    (0..caption.len()).any(|start| {
        let mut phrase = String::new();
        caption[start..].iter().take(4).any(|word| {
            phrase.push_str(word);
            phrase == wanted || is_plural(&phrase, &wanted)
        })
    })
}

fn words(text: &str) -> Vec<String> {
    let split = text.split(|letter: char| !letter.is_alphanumeric());
    split.filter(|word| !word.is_empty()).map(str::to_lowercase).collect()
}

fn is_plural(phrase: &str, singular: &str) -> bool {
    let regular = phrase.strip_prefix(singular).is_some_and(|rest| rest == "s" || rest == "es");
    let ies = singular.strip_suffix('y').is_some_and(|stem| phrase.strip_suffix("ies") == Some(stem));
    regular
        || ies
        || IRREGULAR.iter().any(|(one, many)| {
            let stem = singular.strip_suffix(one);
            stem.is_some_and(|stem| phrase.strip_suffix(many) == Some(stem))
        })
}

#[cfg(test)]
mod tests {
    use super::names;

    #[test]
    fn a_class_is_named_by_its_words_in_either_number() {
        for (caption, class) in [
            ("a cat on the grass", "cat"),
            ("Two Dogs, asleep", "dog"),
            ("two potted plants", "pottedplant"),
            ("a pottedplant", "potted plant"),
            ("people at a bus-stop", "person"),
            ("three buses", "bus"),
            ("wine glasses on dining tables", "dining table"),
            ("a city with two ponies", "pony"),
        ] {
            assert!(names(caption, class), "{caption}: {class}");
        }
    }

    #[test]
    fn parts_of_words_name_nothing() {
        for (caption, class) in
            [("a cattle market", "cat"), ("a bus", "us"), ("", "cat"), ("a dining room table", "dining table")]
        {
            assert!(!names(caption, class), "{caption}: {class}");
        }
    }
}
