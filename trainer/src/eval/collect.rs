//! Keeps everything that a pass produces, and makes the files of it.

use std::ops::ControlFlow;

use glass_metrics::Protocol;

use super::run::{Look, Row, Sink};
use super::samples::Samples;
use super::scores::{Means, ProtocolSummary, values};
use super::table::ImageTable;
use super::EvalError;

/// Means, the per-image table and the pictures of the report.
pub struct Collector<'a> {
    protocols: &'a [Protocol],
    means: Means,
    table: ImageTable,
    samples: Samples,
    looks: usize,
    progress: Box<dyn FnMut(usize) -> ControlFlow<()> + 'a>,
}

/// What a pass leaves.
pub struct Collected {
    /// Numbers over seeds.
    pub summary: Vec<ProtocolSummary>,
    /// Bytes of `per-image.parquet`.
    pub table: Vec<u8>,
    /// Files of the folder `samples`.
    pub samples: Vec<(String, Vec<u8>)>,
}

impl<'a> Collector<'a> {
    /// Draws the first `looks` pictures; `progress` hears how many pictures each batch had
    /// and may break off.
    ///
    /// # Errors
    /// [`EvalError::Table`].
    pub fn new(
        protocols: &'a [Protocol],
        looks: usize,
        progress: impl FnMut(usize) -> ControlFlow<()> + 'a,
    ) -> Result<Self, EvalError> {
        Ok(Self {
            protocols,
            means: Means::default(),
            table: ImageTable::new()?,
            samples: Samples::default(),
            looks,
            progress: Box::new(progress),
        })
    }

    /// Closes the table and draws the sheets.
    ///
    /// # Errors
    /// [`EvalError::Table`], [`EvalError::Drawing`].
    pub fn finish(self) -> Result<Collected, EvalError> {
        let id = self.protocols.first().map_or("", |protocol| protocol.id.as_str());
        Ok(Collected {
            summary: self.means.summary(self.protocols),
            table: self.table.finish()?,
            samples: self.samples.finish(id)?,
        })
    }
}

impl Sink for Collector<'_> {
    fn row(&mut self, row: &Row<'_>) -> Result<(), EvalError> {
        let protocol = &self.protocols[row.protocol];
        let values = values(protocol, &row.scores);
        self.means.add(row, &values);
        self.table.push(row, protocol, &values)
    }

    fn looks(&self) -> usize {
        self.looks
    }

    fn look(&mut self, look: Look<'_>) -> Result<(), EvalError> {
        self.samples.push(&look);
        Ok(())
    }

    fn advanced(&mut self, pictures: usize) -> Result<(), EvalError> {
        match (self.progress)(pictures) {
            ControlFlow::Continue(()) => Ok(()),
            ControlFlow::Break(()) => Err(EvalError::Interrupted),
        }
    }
}
