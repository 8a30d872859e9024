//! Beam search as a state that takes the scores of one picture's texts.

use super::options::{EarlyStopping, GenerateOptions};
use super::scores::largest;

/// What stands for minus infinity in transformers' beam search.
const IMPOSSIBLE: f32 = -1.0e9;

/// A caption in the making.
#[derive(Debug, Clone)]
struct Beam {
    tokens: Vec<u32>,
    score: f32,
    finished: bool,
}

/// transformers' beam search for one picture, so that a picture never sees its neighbours in the batch.
#[derive(Debug)]
pub(super) struct BeamSearch<'o> {
    options: &'o GenerateOptions,
    end: &'o [u32],
    running: Vec<Beam>,
    /// The best captions so far; unfinished ones fill the places.
    best: Vec<Beam>,
    can_improve: bool,
    done: bool,
}

/// A possible next token of a running beam.
#[derive(Debug, Clone, Copy)]
struct Candidate {
    beam: usize,
    token: u32,
    score: f32,
    stops: bool,
}

impl<'o> BeamSearch<'o> {
    pub(super) fn new(options: &'o GenerateOptions, end: &'o [u32]) -> Self {
        let empty = |score: f32| Beam { tokens: Vec::new(), score, finished: false };
        // Only the first beam counts at the start: the others are its copies.
        let running = (0..options.num_beams).map(|beam| empty(if beam == 0 { 0.0 } else { IMPOSSIBLE })).collect();
        let best = vec![empty(IMPOSSIBLE); options.num_beams];
        Self { options, end, running, best, can_improve: true, done: false }
    }

    /// The tokens of each running beam.
    pub(super) fn running(&self) -> impl Iterator<Item = &[u32]> {
        self.running.iter().map(|beam| beam.tokens.as_slice())
    }

    /// Whether the search has ended.
    pub(super) fn is_done(&self) -> bool {
        self.done
    }

    /// The best caption, with the token that ended it.
    pub(super) fn into_best(self) -> Vec<u32> {
        self.best.into_iter().next().map(|beam| beam.tokens).unwrap_or_default()
    }

    /// Takes the log-probabilities of each running beam's next token; gives for each new beam the one it
    /// continues.
    pub(super) fn step(&mut self, log_probs: &[Vec<f32>]) -> Vec<usize> {
        let beams = self.options.num_beams;
        let length = self.running[0].tokens.len() + 1;
        let candidates = self.candidates(log_probs, length);
        let next = self.continuations(&candidates);
        self.keep_finished(&candidates, length);
        let parents = next.iter().map(|candidate| candidate.beam).collect();
        self.running = next.iter().map(|candidate| self.extend(candidate)).collect();
        self.update_can_improve(length);
        let full = self.is_full() && self.options.early_stopping == EarlyStopping::WhenFull;
        self.done = !self.can_improve || full || candidates.iter().all(|candidate| candidate.stops);
        debug_assert_eq!(self.running.len(), beams);
        parents
    }

    /// The best continuations over all beams, best first; enough that a beam is left for each that ends.
    fn candidates(&self, log_probs: &[Vec<f32>], length: usize) -> Vec<Candidate> {
        let keep = self.options.num_beams * (1 + self.end.len()).max(2);
        let mut all: Vec<Candidate> = Vec::new();
        for (beam, (log_probs, running)) in log_probs.iter().zip(&self.running).enumerate() {
            let scored: Vec<f32> = log_probs.iter().map(|p| p + running.score).collect();
            all.extend(largest(&scored, keep).into_iter().map(|token| Candidate {
                beam,
                token: token as u32,
                score: scored[token],
                stops: length >= self.options.max_new_tokens || self.end.contains(&(token as u32)),
            }));
        }
        all.sort_by(|a, b| b.score.total_cmp(&a.score));
        all.truncate(keep);
        all
    }

    /// The best continuations that go on.
    fn continuations(&self, candidates: &[Candidate]) -> Vec<Candidate> {
        let mut next: Vec<Candidate> = candidates
            .iter()
            .map(|c| Candidate { score: if c.stops { c.score + IMPOSSIBLE } else { c.score }, ..*c })
            .collect();
        next.sort_by(|a, b| b.score.total_cmp(&a.score));
        next.truncate(self.options.num_beams);
        next
    }

    /// Puts captions that ended among the best, by their score divided by length^penalty.
    fn keep_finished(&mut self, candidates: &[Candidate], length: usize) {
        let frozen = !self.can_improve || (self.is_full() && self.options.early_stopping == EarlyStopping::WhenFull);
        let divisor = self.length_divisor(length);
        let ended = candidates.iter().take(self.options.num_beams).filter(|c| c.stops && !frozen);
        let mut merged = self.best.clone();
        merged.extend(ended.map(|c| Beam { score: c.score / divisor, finished: true, ..self.extend(c) }));
        merged.sort_by(|a, b| b.score.total_cmp(&a.score));
        merged.truncate(self.options.num_beams);
        self.best = merged;
    }

    fn extend(&self, candidate: &Candidate) -> Beam {
        let mut tokens = self.running[candidate.beam].tokens.clone();
        tokens.push(candidate.token);
        Beam { tokens, score: candidate.score, finished: false }
    }

    /// Whether a running beam could still beat the worst of the best.
    fn update_can_improve(&mut self, length: usize) {
        let longest = match self.options.early_stopping {
            EarlyStopping::Never if self.options.length_penalty > 0.0 => self.options.max_new_tokens,
            _ => length,
        };
        let possible = self.running[0].score / self.length_divisor(longest);
        let worst = self.best.iter().map(|beam| beam.score).fold(f32::INFINITY, f32::min);
        self.can_improve &= self.best.iter().any(|beam| possible > if beam.finished { worst } else { IMPOSSIBLE });
    }

    fn is_full(&self) -> bool {
        self.best.iter().all(|beam| beam.finished)
    }

    fn length_divisor(&self, length: usize) -> f32 {
        (length as f64).powf(f64::from(self.options.length_penalty)) as f32
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wider_beam_finds_the_caption_that_greed_misses() {
        // Token 0 ends. Greedy takes 1 (0.6) and then meets only poor ends; 2 (0.4) ends surely.
        let options = GenerateOptions { num_beams: 2, max_new_tokens: 2, ..Default::default() };
        let mut search = BeamSearch::new(&options, &[0]);
        let start = vec![0.0001f32.ln(), 0.6f32.ln(), 0.3999f32.ln()];
        let parents = search.step(&[start.clone(), start]);
        assert_eq!(parents, [0, 0]);
        let after_one = vec![0.34f32.ln(), 0.33f32.ln(), 0.33f32.ln()];
        let after_two = vec![0.98f32.ln(), 0.01f32.ln(), 0.01f32.ln()];
        search.step(&[after_one, after_two]);
        assert!(search.is_done());
        assert_eq!(search.into_best(), [2, 0]);
    }
}
