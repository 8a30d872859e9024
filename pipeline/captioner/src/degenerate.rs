//! What is odd about a caption.

use crate::words::words;

/// A phrase said this often in a row is a loop of the language model.
const REPEATS: usize = 3;
/// Longest phrase looked for.
const PHRASE: usize = 4;

/// `empty` for a caption without a word, `repeated-words` for one that loops.
pub fn flags(caption: &str) -> Vec<String> {
    let words = words(caption);
    if words.is_empty() {
        return vec!["empty".to_owned()];
    }
    if loops(&words) {
        return vec!["repeated-words".to_owned()];
    }
    Vec::new()
}

fn loops(words: &[String]) -> bool {
    (1..=PHRASE).any(|length| {
        words.windows(length * REPEATS).any(|window| {
            let first = &window[..length];
            window.chunks(length).all(|chunk| chunk == first)
        })
    })
}
