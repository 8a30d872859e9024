//! A run that is kept in a store and shown on the terminal.

use std::io::Cursor;
use std::time::Instant;

use burn::tensor::Device;
use glass_schemas::seeds::Purpose;
use glass_schemas::spec::trainer::TrainerSpec;
use glass_stage::Context;
use image::{ImageFormat, RgbImage};
use tokio::runtime::Handle;

use crate::checkpoint::{Meter, Run, pack};
use crate::data::{Side, TrainingSet, Visit, visit_stream};
use crate::error::{Result, TrainerError};
use crate::grouping::{Known, slot_noise};
use crate::guidance::host;
use crate::phases::{Surroundings, TrainState};
use crate::track::{EventFile, History, Line, Panel, preview};

/// Saves to the store, logs, draws previews, stops on a signal.
pub struct StoreSurroundings<'a> {
    run: &'a Run,
    spec: &'a TrainerSpec,
    seed: u64,
    samples: &'a dyn TrainingSet,
    context: &'a Context,
    runtime: &'a Handle,
    meter: &'a Meter,
    since: (Instant, Option<u64>),
}

impl<'a> StoreSurroundings<'a> {
    /// Around a run.
    pub fn new(
        run: &'a Run,
        spec: &'a TrainerSpec,
        seed: u64,
        samples: &'a dyn TrainingSet,
        context: &'a Context,
        runtime: &'a Handle,
        meter: &'a Meter,
    ) -> Self {
        Self { run, spec, seed, samples, context, runtime, meter, since: (Instant::now(), None) }
    }

    fn put(&self, name: &str, bytes: Vec<u8>) -> Result<()> {
        let key = self.run.key(name);
        Ok(self.runtime.block_on(self.run.store().put(&key, bytes.into()))?)
    }

    fn panels(&self, state: &TrainState) -> Result<Vec<Panel>> {
        let visits: Vec<Visit> = (0..self.spec.track.preview_samples.min(self.samples.len()))
            .map(|sample| Visit { position: sample as u64, sample, side: Side::Plain })
            .collect();
        let reader = state.networks.reader();
        let device: Device = state.networks.device().clone().inner();
        let states = self.samples.features(&visits, &device)?;
        let streams: Vec<_> = visits.iter().map(|visit| visit_stream(self.seed, Purpose::SlotInit, visit)).collect();
        let count = self.spec.slots.count;
        let noise = slot_noise(&streams, count, self.spec.slots.size, &device);
        let known = match Known::is_used(&self.spec.slots) {
            true => Known::new(&self.spec.slots, count, &self.samples.boxes(&visits)?, &device),
            false => Known::default(),
        };
        let (_, found) = reader.read(states, noise, &known);
        let attention = host(found.attention);
        let masks = self.samples.masks(&visits)?;
        let (mask, maps) = (masks.len() / visits.len().max(1), attention.len() / visits.len().max(1));
        visits
            .iter()
            .enumerate()
            .map(|(index, visit)| {
                Ok(Panel {
                    picture: self.samples.picture(visit)?,
                    mask: masks[index * mask..][..mask].to_vec(),
                    attention: attention[index * maps..][..maps].to_vec(),
                    slots: count,
                })
            })
            .collect()
    }
}

impl Surroundings for StoreSurroundings<'_> {
    fn stop(&self) -> bool {
        self.context.stop.is_set() || self.meter.used_up()
    }

    fn save(&mut self, state: &TrainState) -> Result<()> {
        let objects = pack(state, self.spec)?;
        self.runtime.block_on(self.run.save(state.step, objects))?;
        // Copies for people and tools; what a resumed run believes is in the checkpoint.
        self.put("metrics.jsonl", state.history.to_json_lines()?.into_bytes())?;
        self.put("tensorboard/events.out.tfevents.0000000000.metrics", events(&state.history))?;
        self.runtime.block_on(self.meter.record(self.run, state.step))?;
        tracing::info!(step = state.step, "checkpoint committed");
        Ok(())
    }

    fn line(&mut self, line: &Line, state: &TrainState) {
        let value = |name: &str| line.values.get(name).copied();
        let (since, before) = self.since;
        let rate = before.map(|step| (state.step - step) as f64 / since.elapsed().as_secs_f64());
        self.since = (Instant::now(), Some(state.step));
        tracing::info!(
            step = line.step,
            phase = line.phase,
            total = value("loss/total"),
            instance = value("loss/instance"),
            semantic = value("loss/semantic"),
            diffusion = value("loss/diffusion"),
            steps_per_second = rate,
            "trained"
        );
    }

    fn preview(&mut self, state: &TrainState) -> Result<()> {
        let panels = self.panels(state)?;
        if panels.is_empty() {
            return Ok(());
        }
        let picture = preview(&panels);
        let png = png(&picture)?;
        let mut file = EventFile::new(0.0);
        let size = [picture.width(), picture.height()];
        file.image(0.0, state.step, "preview", size, &png);
        let step = state.step;
        self.put(&format!("previews/{step:08}.png"), png)?;
        self.put(&format!("tensorboard/events.out.tfevents.{step:010}.preview"), file.into_bytes())
    }
}

fn events(history: &History) -> Vec<u8> {
    // No wall time: the file is a function of the run, like everything else in it.
    let mut file = EventFile::new(0.0);
    for line in history.lines() {
        for (name, &value) in &line.values {
            file.scalar(0.0, line.step, name, value.into());
        }
    }
    file.into_bytes()
}

fn png(picture: &RgbImage) -> Result<Vec<u8>> {
    let mut bytes = Cursor::new(Vec::new());
    picture.write_to(&mut bytes, ImageFormat::Png).map_err(|error| TrainerError::state("preview", error))?;
    Ok(bytes.into_inner())
}
