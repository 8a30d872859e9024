//! The training loop: phase 1 teaches slots, phase 2 teaches the image decoder to read them.

mod drift;
mod look;
mod networks;
mod session;
mod state;
mod step;

pub(crate) use drift::owners;
pub use drift::{DriftProbe, DriftState};
pub use look::{LossTerms, Seen};
pub use networks::{Networks, SlotReader};
pub use session::{Outcome, PhaseChoice, Session, Surroundings};
pub use state::{Optimizers, TrainState};
pub use step::{StepLosses, Stepper, phase_of};
