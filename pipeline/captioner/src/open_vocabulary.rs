//! Classes without a vocabulary: the head noun of each noun phrase.

use glass_schemas::dataset::ClassLabel;

use crate::words::{singulars, words};

/// Words that open a noun phrase.
const OPENERS: [&str; 26] = [
    "a", "an", "the", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "some", "several",
    "many", "few", "multiple", "his", "her", "its", "their", "another", "both", "other", "and",
];

/// Words that close one: prepositions, conjunctions, auxiliaries.
const CLOSERS: [&str; 48] = [
    "of", "on", "in", "at", "by", "with", "and", "or", "to", "from", "near", "next", "under", "over", "behind",
    "beside", "between", "among", "above", "below", "into", "onto", "off", "through", "across", "around", "along",
    "against", "inside", "outside", "that", "which", "who", "while", "as", "is", "are", "was", "were", "has", "have",
    "being", "be", "for", "up", "down", "out", "front",
];

/// Words that are no objects although they head a phrase of a caption.
const NO_OBJECTS: [&str; 19] = [
    "photo",
    "picture",
    "image",
    "view",
    "close",
    "closeup",
    "top",
    "side",
    "front",
    "back",
    "bunch",
    "group",
    "couple",
    "pair",
    "lot",
    "middle",
    "background",
    "herd",
    "flock",
];

/// The caption's head nouns as classes, numbered from 1 per image, each once.
///
/// A rule, not a parser: a noun phrase runs from an opener to the next closer or participle, and
/// its last word is the class.
pub fn open_classes(caption: &str) -> Vec<ClassLabel> {
    let words = words(caption);
    let mut found: Vec<ClassLabel> = Vec::new();
    for (start, _) in words.iter().enumerate().filter(|(_, w)| OPENERS.contains(&w.as_str())) {
        let phrase = words[start + 1..].iter().take_while(|word| !closes(word));
        let Some(head) = phrase.last().map(|word| singular(word)) else { continue };
        let known = found.iter().any(|class| class.name == head);
        if !known && !NO_OBJECTS.contains(&head.as_str()) {
            let id = found.len() as u32 + 1;
            found.push(ClassLabel { id, name: head });
        }
    }
    found
}

fn closes(word: &str) -> bool {
    CLOSERS.contains(&word) || OPENERS.contains(&word) || (word.len() > 5 && word.ends_with("ing"))
}

/// The shortest plausible singular; without a dictionary only `s` is trusted.
fn singular(word: &str) -> String {
    let keeps_s = ["ss", "us", "is"].iter().any(|ending| word.ends_with(ending));
    let forms = singulars(word);
    match (keeps_s, word.ends_with("es")) {
        (true, _) => word.to_owned(),
        (false, true) if ["ches", "shes", "xes", "sses"].iter().any(|e| word.ends_with(e)) => {
            word[..word.len() - 2].to_owned()
        }
        _ if word.ends_with("ies") => forms.get(1).cloned().unwrap_or_else(|| word.to_owned()),
        _ => forms.last().cloned().unwrap_or_else(|| word.to_owned()),
    }
}
