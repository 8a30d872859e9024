//! A training of an autoencoder in a folder: the published layout, and what it takes to go on.
//!
//! A checkpoint is written beside the last one and takes its name by a rename, so that there is always a
//! whole one.

use std::path::Path;

use burn::module::Module;
use serde::{Deserialize, Serialize};

use super::{Training, optimizer};
use crate::checkpoint::{collect, from_safetensors, restore, to_safetensors, vqvae_names};
use crate::error::{Result, TrainerError};
use crate::optim::GroupOptimizer;

/// What a checkpoint of a training says of it: a folder holds one training.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Progress {
    /// Steps done.
    pub step: u64,
    /// The seed of weights and order.
    pub seed: u64,
    /// Steps in all.
    pub steps: u64,
}

/// Names within the folder.
mod names {
    pub const WEIGHTS: &str = "diffusion_pytorch_model.safetensors";
    pub const OPTIMIZER: &str = "optimizer.bpk";
    pub const PROGRESS: &str = "training.json";
    pub const CONFIG: &str = "config.json";
}

impl Training {
    /// Saves to `folder/`, with the network's `config.json` from `config`; a checkpoint that is there is
    /// replaced as a whole.
    ///
    /// # Errors
    /// [`TrainerError::File`].
    pub fn save(&self, folder: &Path, config: &Path, seed: u64, steps: u64) -> Result<()> {
        let named = collect(&self.network.valid(), vqvae_names);
        let progress = Progress { step: self.step, seed, steps };
        let progress =
            serde_json::to_vec_pretty(&progress).map_err(|error| TrainerError::state(names::PROGRESS, error))?;
        let config = config.join(names::CONFIG);
        let config = std::fs::read(&config).map_err(TrainerError::file(&config))?;
        let partial = folder.with_extension("partial");
        let _ = std::fs::remove_dir_all(&partial);
        std::fs::create_dir_all(&partial).map_err(TrainerError::file(&partial))?;
        for (name, bytes) in [
            (names::WEIGHTS, to_safetensors(&named, names::WEIGHTS)?),
            (names::OPTIMIZER, self.optimizer.to_bytes()?),
            (names::PROGRESS, progress),
            (names::CONFIG, config),
        ] {
            let path = partial.join(name);
            std::fs::write(&path, bytes).map_err(TrainerError::file(&path))?;
        }
        let old = folder.with_extension("old");
        let _ = std::fs::remove_dir_all(&old);
        if folder.exists() {
            std::fs::rename(folder, &old).map_err(TrainerError::file(folder))?;
        }
        std::fs::rename(&partial, folder).map_err(TrainerError::file(folder))?;
        let _ = std::fs::remove_dir_all(&old);
        Ok(())
    }

    /// Goes on from what is saved in a folder; nothing changes where nothing is.
    ///
    /// # Errors
    /// [`TrainerError::State`] where another training is saved there.
    pub fn resume(mut self, folder: &Path, seed: u64, steps: u64) -> Result<Self> {
        // Stopped between the two renames of a save: the old checkpoint is whole.
        let old = folder.with_extension("old");
        if !folder.exists() && old.exists() {
            std::fs::rename(&old, folder).map_err(TrainerError::file(&old))?;
        }
        let path = folder.join(names::PROGRESS);
        if !path.exists() {
            return Ok(self);
        }
        let read = |name: &str| {
            let path = folder.join(name);
            std::fs::read(&path).map_err(TrainerError::file(&path))
        };
        let progress: Progress = serde_json::from_slice(&read(names::PROGRESS)?)
            .map_err(|error| TrainerError::state(&format!("`{}`", path.display()), error))?;
        if (progress.seed, progress.steps) != (seed, steps) {
            let message = format!(
                "is a training of {} steps with seed {}, not of {steps} steps with seed {seed}",
                progress.steps, progress.seed
            );
            return Err(TrainerError::state(&format!("`{}`", folder.display()), message));
        }
        let named = from_safetensors(&read(names::WEIGHTS)?, names::WEIGHTS)?;
        self.network = restore(self.network, named, vqvae_names, names::WEIGHTS)?;
        self.optimizer = GroupOptimizer::restore(&optimizer(), &read(names::OPTIMIZER)?)?;
        self.step = progress.step;
        Ok(self)
    }
}
