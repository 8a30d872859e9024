//! What the papers report, for comparison of the order.

use std::collections::BTreeMap;

use anyhow::Context as _;
use serde::Deserialize;

const TEXT: &str = include_str!("../../../../manifests/published.toml");

/// The table that ranks the methods which the GLASS paper compares.
const RANKING: &str = "GLASS, object discovery";

#[derive(Deserialize)]
struct File {
    numbers: Vec<Published>,
}

/// One line of a published table, percent.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Published {
    /// The method here that is trained the same way.
    pub(super) method: String,
    /// What the paper calls it.
    pub(super) name: String,
    /// The masks that were judged, as evaluations here name them, where they are not the method's own.
    pub(super) masks: Option<String>,
    /// Where it is published.
    pub(super) from: String,
    /// Metric → VOC 2012.
    pub(super) voc: BTreeMap<String, f64>,
    /// Metric → COCO 2017.
    pub(super) coco: BTreeMap<String, f64>,
}

/// Everything that is published of these methods.
///
/// # Errors
/// If the embedded file is broken.
pub(super) fn of(methods: &[&str]) -> anyhow::Result<Vec<Published>> {
    let file: File = toml::from_str(TEXT).context("cannot read the published numbers")?;
    Ok(file.numbers.into_iter().filter(|line| methods.contains(&line.method.as_str())).collect())
}

/// The order that the GLASS paper reports for VOC by mIoU_i, lowest first.
pub(super) fn order(lines: &[Published]) -> Vec<&Published> {
    let value = |line: &Published| line.voc.get("miou_i").copied();
    let mut ranked: Vec<&Published> =
        lines.iter().filter(|line| line.from == RANKING && value(line).is_some()).collect();
    ranked.sort_by(|a, b| value(a).unwrap_or(0.0).total_cmp(&value(b).unwrap_or(0.0)));
    ranked
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]

    use super::*;

    #[test]
    fn the_published_order_is_that_of_the_paper() {
        let lines = of(&["glass", "spot-student", "stable-lsd", "dinosaur-transformer"]).unwrap();
        let names: Vec<&str> = order(&lines).iter().map(|line| line.name.as_str()).collect();
        assert_eq!(names, ["StableLSD", "DINOSAUR, Transformer", "SPOT", "GLASS"]);
        assert!(of(&["none"]).unwrap().is_empty());
    }
}
