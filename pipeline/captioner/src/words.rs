//! Words of a caption, and the singulars a plural may have.

/// Lower-case words; punctuation separates, a possessive `'s` is dropped, other apostrophes join.
pub(crate) fn words(text: &str) -> Vec<String> {
    let text = text.to_lowercase().replace('’', "'").replace("'s", "");
    text.split(|c: char| !c.is_alphanumeric() && c != '\'')
        .map(|word| word.trim_matches('\'').to_owned())
        .filter(|word| !word.is_empty())
        .collect()
}

const IRREGULAR: [(&str, &str); 14] = [
    ("men", "man"),
    ("women", "woman"),
    ("children", "child"),
    ("people", "person"),
    ("mice", "mouse"),
    ("geese", "goose"),
    ("knives", "knife"),
    ("calves", "calf"),
    ("oxen", "ox"),
    ("feet", "foot"),
    ("teeth", "tooth"),
    ("leaves", "leaf"),
    ("shelves", "shelf"),
    ("buses", "bus"),
];

/// The word itself, then what it may be the plural of; the dictionary decides which exists.
pub(crate) fn singulars(word: &str) -> Vec<String> {
    let mut forms = vec![word.to_owned()];
    if let Some((_, singular)) = IRREGULAR.iter().find(|(plural, _)| *plural == word) {
        forms.push((*singular).to_owned());
    }
    for (ending, replacement) in [("ies", "y"), ("ves", "f"), ("es", ""), ("s", "")] {
        // Two letters must remain: `is` and `as` are no plurals.
        if let Some(stem) = word.strip_suffix(ending).filter(|stem| stem.len() >= 2) {
            forms.push(format!("{stem}{replacement}"));
        }
    }
    forms
}
