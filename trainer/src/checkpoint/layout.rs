//! The names of the published checkpoints (`multiheadstevesa/` of Latent Slot Diffusion and GLASS).

/// The name of a parameter of [`crate::grouping::SlotAttention`].
pub fn slot_names(path: &str) -> String {
    let path = match path.strip_prefix("initializer.") {
        // The socket's variant has no name of its own.
        Some(rest) => rest.rsplit('.').next().unwrap_or(rest).to_owned(),
        None => path.to_owned(),
    };
    let path = match path.strip_prefix("pos.") {
        Some(rest) => format!("pos.projection.{rest}"),
        None => path,
    };
    sequence(&path)
}

/// The name of a parameter of [`crate::decoders::MlpDecoder`]; GLASS does not publish this one.
pub fn feature_names(path: &str) -> String {
    sequence(path)
}

/// `torch.nn.Sequential` counts the ReLU between two linear maps.
fn sequence(path: &str) -> String {
    path.replace(".first.", ".0.").replace(".second.", ".2.")
}
