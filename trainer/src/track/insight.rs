//! Numbers that show whether slots live: how they share the tokens, and how sure the attention is.

/// How slots share the tokens of a batch.
#[derive(Debug, Clone, PartialEq)]
pub struct SlotUsage {
    /// Share of all tokens that each slot wins, summing to one. Slots that start from one Gaussian are exchangeable;
    /// what shows there is [`SlotUsage::largest`].
    pub shares: Vec<f64>,
    /// Slots that win at least one token of a sample, mean over samples.
    pub used: f64,
    /// Share of a sample's tokens that its largest slot wins, mean over samples: 1 where one slot has all.
    pub largest: f64,
    /// Entropy of a token's attention over the slots, over that of an even one; mean over tokens. 0: every token has
    /// chosen, 1: none has.
    pub entropy: f64,
}

impl SlotUsage {
    /// Of attention `[samples, slots, tokens]` that sums to one over the slots. `None` for nothing at all.
    pub fn of(attention: &[f32], slots: usize, tokens: usize) -> Option<Self> {
        let maps = slots * tokens;
        if maps == 0 || attention.is_empty() || !attention.len().is_multiple_of(maps) {
            return None;
        }
        let samples = attention.len() / maps;
        let mut usage = Self { shares: vec![0.0; slots], used: 0.0, largest: 0.0, entropy: 0.0 };
        for maps in attention.chunks_exact(maps) {
            let won = won(maps, slots, tokens);
            usage.used += won.iter().filter(|&&count| count > 0).count() as f64;
            usage.largest += won.iter().copied().max().unwrap_or(0) as f64 / tokens as f64;
            for (share, count) in usage.shares.iter_mut().zip(won) {
                *share += count as f64 / tokens as f64;
            }
            usage.entropy += entropy(maps, slots, tokens);
        }
        let mean = |value: f64| value / samples as f64;
        Some(Self {
            shares: usage.shares.into_iter().map(mean).collect(),
            used: mean(usage.used),
            largest: mean(usage.largest),
            entropy: mean(usage.entropy),
        })
    }

    /// Values by the name they are logged under.
    pub fn named(&self) -> Vec<(String, f64)> {
        let shares = self.shares.iter().enumerate();
        let mut named: Vec<_> = shares.map(|(slot, &share)| (format!("slots/share/{slot:02}"), share)).collect();
        named.push(("slots/used".to_owned(), self.used));
        named.push(("slots/largest_share".to_owned(), self.largest));
        named.push(("attention/entropy".to_owned(), self.entropy));
        named
    }
}

/// Tokens that each slot wins, the first of equals.
fn won(maps: &[f32], slots: usize, tokens: usize) -> Vec<usize> {
    let mut won = vec![0; slots];
    for token in 0..tokens {
        let weight = |slot: usize| maps[slot * tokens + token];
        let best = (1..slots).fold(0, |best, slot| if weight(slot) > weight(best) { slot } else { best });
        won[best] += 1;
    }
    won
}

/// Mean over tokens of the normalised entropy over slots; 0 for a single slot.
fn entropy(maps: &[f32], slots: usize, tokens: usize) -> f64 {
    if slots < 2 {
        return 0.0;
    }
    let term = |&weight: &f32| if weight > 0.0 { -f64::from(weight) * f64::from(weight).ln() } else { 0.0 };
    maps.iter().map(term).sum::<f64>() / (tokens as f64 * (slots as f64).ln())
}
