//! Prompts whose words name classes, with the positions of those words.

use std::ops::Range;

use super::tokenizer::{ClipTokenizer, TokenizedPrompt};
use crate::error::{NetsError, Result};

/// Stands for the class name in a template.
pub const CLASS_PLACEHOLDER: &str = "{class}";

/// The prompt of one class: `template` with the name in place of `{class}` (`a photo of a {class}`, or
/// `{class}` for the bare name), and where the name's tokens stand.
///
/// # Errors
/// When the template has no placeholder or the name yields no token that fits.
pub fn class_prompt(tokenizer: &ClipTokenizer, template: &str, class: &str) -> Result<(TokenizedPrompt, Vec<usize>)> {
    let Some((before, after)) = template.split_once(CLASS_PLACEHOLDER) else {
        return Err(NetsError::input(format!("class prompt `{template}` has no `{CLASS_PLACEHOLDER}`")));
    };
    let text = format!("{before}{class}{after}");
    let mark = before.len()..before.len() + class.len();
    let (prompt, mut positions) = marked(tokenizer, &text, &[mark])?;
    Ok((prompt, positions.pop().unwrap_or_default()))
}

/// All class names in one prompt, joined by blanks (Dataset Diffusion's class prompt), and the positions
/// of each.
///
/// # Errors
/// When a name yields no token that fits.
pub fn joint_class_prompt(tokenizer: &ClipTokenizer, classes: &[String]) -> Result<(TokenizedPrompt, Vec<Vec<usize>>)> {
    let mut start = 0;
    let marks: Vec<Range<usize>> = classes
        .iter()
        .map(|class| {
            let mark = start..start + class.len();
            start = mark.end + 1;
            mark
        })
        .collect();
    marked(tokenizer, &classes.join(" "), &marks)
}

fn marked(tokenizer: &ClipTokenizer, text: &str, marks: &[Range<usize>]) -> Result<(TokenizedPrompt, Vec<Vec<usize>>)> {
    let prompt = tokenizer.encode(text)?;
    let positions = marks.iter().map(|mark| {
        let positions = prompt.positions(mark);
        if positions.is_empty() {
            let word = text.get(mark.clone()).unwrap_or_default();
            return Err(NetsError::input(format!("class name `{word}` has no token in the prompt `{text}`")));
        }
        Ok(positions)
    });
    let positions = positions.collect::<Result<Vec<_>>>()?;
    Ok((prompt, positions))
}
