//! Caption → classes, and both → prompt.

use glass_schemas::dataset::ClassLabel;

use crate::vocabulary::Vocabulary;
use crate::words::{singulars, words};

impl Vocabulary {
    /// The classes a caption names, each once, in the order of first mention.
    ///
    /// Longest match first, so that `hot dogs` is no dog; the last word of a phrase may be a
    /// plural.
    pub fn classes_in(&self, caption: &str) -> Vec<ClassLabel> {
        let words = words(caption);
        let mut found: Vec<ClassLabel> = Vec::new();
        let mut position = 0;
        while position < words.len() {
            let (taken, class) = self.longest_match(&words[position..]);
            if let Some(class) = class
                && !found.contains(class)
            {
                found.push(class.clone());
            }
            position += taken;
        }
        found
    }

    /// How many of the words the longest phrase takes (1 if none fits), and what it means.
    fn longest_match(&self, words: &[String]) -> (usize, Option<&ClassLabel>) {
        for length in (1..=self.longest().min(words.len())).rev() {
            let (head, last) = (&words[..length - 1], &words[length - 1]);
            for last in singulars(last) {
                let mut phrase = head.to_vec();
                phrase.push(last);
                if let Some(class) = self.meaning(&phrase.join(" ")) {
                    return (length, class);
                }
            }
        }
        (1, None)
    }
}

/// `"{caption}; {class names}"` (Dataset-Diffusion's class-prompt appending); the caption alone
/// where there is no class.
pub fn prompt(caption: &str, classes: &[ClassLabel]) -> String {
    if classes.is_empty() {
        return caption.to_owned();
    }
    let names: Vec<_> = classes.iter().map(|class| class.name.as_str()).collect();
    format!("{caption}; {}", names.join(" "))
}
