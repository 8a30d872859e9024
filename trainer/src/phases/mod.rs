//! The training loop: phase 1 teaches slots, phase 2 teaches the image decoder to read them.

mod drift;
mod session;
mod state;
mod step;

pub(crate) use drift::owners;
pub use drift::{DriftProbe, DriftState};
pub use session::{Outcome, PhaseChoice, Session, Surroundings};
pub use state::{Networks, Optimizers, TrainState};
pub use step::{StepLosses, Stepper, phase_of};
