//! Pure functions on the scores of one text's next token.

/// The index of the largest score, the first of equals.
pub(super) fn argmax(scores: &[f32]) -> u32 {
    let best = scores
        .iter()
        .enumerate()
        .fold((0, f32::NEG_INFINITY), |best, (index, &score)| if score > best.1 { (index, score) } else { best });
    best.0 as u32
}

/// Scores as logarithms of probabilities.
pub(super) fn log_softmax(scores: &mut [f32]) {
    let max = scores.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let sum: f64 = scores.iter().map(|score| f64::from(score - max).exp()).sum();
    let log = sum.ln() as f32;
    for score in scores {
        *score = *score - max - log;
    }
}

/// Makes tokens that already stand in the text less likely (`RepetitionPenaltyLogitsProcessor`).
pub(super) fn penalise<'t>(scores: &mut [f32], text: impl Iterator<Item = &'t u32>, penalty: f32) {
    if penalty == 1.0 {
        return;
    }
    let seen: std::collections::BTreeSet<u32> = text.copied().collect();
    for token in seen {
        if let Some(score) = scores.get_mut(token as usize) {
            *score = if *score < 0.0 { *score * penalty } else { *score / penalty };
        }
    }
}

/// The indices of the `count` largest scores, largest first, the first of equals before the others.
pub(super) fn largest(scores: &[f32], count: usize) -> Vec<usize> {
    let mut best: Vec<usize> = Vec::with_capacity(count + 1);
    for (index, score) in scores.iter().enumerate() {
        if best.len() == count && best.last().is_some_and(|&last| *score <= scores[last]) {
            continue;
        }
        let place = best.partition_point(|&other| scores[other] >= *score);
        best.insert(place, index);
        best.truncate(count);
    }
    best
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_largest_come_first_and_ties_keep_their_order() {
        assert_eq!(largest(&[1.0, 3.0, 2.0, 3.0, 0.0], 3), [1, 3, 2]);
        assert_eq!(largest(&[1.0], 3), [0]);
        assert_eq!(argmax(&[1.0, 3.0, 3.0]), 1);
    }

    #[test]
    fn log_probabilities_sum_to_one() {
        let mut scores = [1.0, 2.0, 30.0];
        log_softmax(&mut scores);
        assert!((scores.iter().map(|s| s.exp()).sum::<f32>() - 1.0).abs() < 1e-6);
    }

    #[test]
    fn a_penalty_lowers_every_seen_score_once() {
        let mut scores = [-1.0, 4.0, 1.0];
        penalise(&mut scores, [0, 1, 1, 9].iter(), 2.0);
        assert_eq!(scores, [-2.0, 2.0, 1.0]);
    }
}
