//! From slots to pictures: what every image decoder can be asked for once it is trained.

use burn::tensor::Tensor;
use glass_nets::NetsError;
use glass_schemas::spec::SchedulerChoice;
use image::RgbImage;

/// How pictures are sampled, where they are sampled.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Sampling {
    /// Sampler.
    pub scheduler: SchedulerChoice,
    /// Steps.
    pub steps: usize,
    /// Classifier-free guidance; 1 switches it off.
    pub guidance_scale: f32,
    /// Side of the picture in pixels.
    pub size: usize,
    /// Seed of the initial latents.
    pub seed: u64,
}

/// How a value becomes a byte.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rounding {
    /// Down (`to_pil_image`, with which GLASS writes its pictures).
    Down,
    /// To the nearest byte (SlotDiffusion, `test_recon.py`; Latent Slot Diffusion's previews).
    Nearest,
}

/// Draws pictures.
pub trait Painter {
    /// A picture for each of the slot sets `[batch, slots, dim]`: `[batch, 3, side, side]`, about [−1, 1].
    /// `subjects` name the pictures, one each, and with the seed decide what is drawn at random for them: a
    /// picture does not depend on its neighbours in the batch.
    ///
    /// # Errors
    /// Where the sampler cannot be run as it is asked to.
    fn paint(&self, slots: Tensor<3>, subjects: &[&str], sampling: &Sampling) -> Result<Tensor<4>, NetsError>;

    /// How the method writes its pictures.
    fn rounding(&self) -> Rounding {
        Rounding::Nearest
    }

    /// [`Painter::paint`] as bytes.
    ///
    /// # Errors
    /// As it.
    fn draw(&self, slots: Tensor<3>, subjects: &[&str], sampling: &Sampling) -> Result<Vec<RgbImage>, NetsError> {
        Ok(pictures(self.paint(slots, subjects, sampling)?, self.rounding()))
    }
}

/// `[batch, 3, height, width]` in [−1, 1] → bytes.
fn pictures(pixels: Tensor<4>, rounding: Rounding) -> Vec<RgbImage> {
    let [_, channels, height, width] = pixels.dims();
    let values = pixels.into_data().convert::<f32>().try_to_vec::<f32>().unwrap_or_default();
    let half = match rounding {
        Rounding::Down => 0.0,
        Rounding::Nearest => 0.5,
    };
    let byte = |value: f32| ((value / 2.0 + 0.5).clamp(0.0, 1.0) * 255.0 + half) as u8;
    let plane = height * width;
    values
        .chunks_exact((channels * plane).max(1))
        .map(|picture| {
            RgbImage::from_fn(width as u32, height as u32, |x, y| {
                let at = y as usize * width + x as usize;
                image::Rgb(std::array::from_fn(|channel| byte(picture[channel * plane + at])))
            })
        })
        .collect()
}
