//! Keeps everything that a pass produces, and makes the files of it.

use std::io::Write;
use std::ops::ControlFlow;

use glass_metrics::Protocol;

use super::EvalError;
use super::label_maps::LabelMapTable;
use super::run::{Look, Row, Sink};
use super::samples::Samples;
use super::scores::{Means, ProtocolSummary, values};
use super::table::ImageTable;

/// Means, the per-image table and the pictures of the report.
pub struct Collector<'a, W: Write + Send> {
    protocols: &'a [Protocol],
    means: Means,
    table: Option<ImageTable<W>>,
    maps: Option<LabelMapTable<W>>,
    samples: Samples,
    looks: usize,
    progress: Box<dyn FnMut(usize) -> ControlFlow<()> + 'a>,
}

/// What a pass leaves.
pub struct Collected<W> {
    /// Numbers over seeds.
    pub summary: Vec<ProtocolSummary>,
    /// Where the per-image table was written, if it was asked for.
    pub table: Option<W>,
    /// Where the label maps were written, if they were asked for.
    pub maps: Option<W>,
    /// Files of the folder `samples`.
    pub samples: Vec<(String, Vec<u8>)>,
}

impl<'a, W: Write + Send> Collector<'a, W> {
    /// Draws the first `looks` pictures and writes the per-image table into `table`; `progress` hears how many pictures each batch had
    /// and may break off.
    ///
    /// # Errors
    /// [`EvalError::Table`].
    pub fn new(
        protocols: &'a [Protocol],
        looks: usize,
        table: Option<W>,
        progress: impl FnMut(usize) -> ControlFlow<()> + 'a,
    ) -> Result<Self, EvalError> {
        Ok(Self {
            protocols,
            means: Means::default(),
            table: table.map(ImageTable::new).transpose()?,
            maps: None,
            samples: Samples::default(),
            looks,
            progress: Box::new(progress),
        })
    }

    /// Also writes the label maps of the first protocol into `target`.
    ///
    /// # Errors
    /// [`EvalError::Table`].
    pub fn with_maps(mut self, target: Option<W>) -> Result<Self, EvalError> {
        if let (Some(target), Some(protocol)) = (target, self.protocols.first()) {
            self.maps = Some(LabelMapTable::new(target, protocol)?);
        }
        Ok(self)
    }

    /// Closes the tables and draws the sheets.
    ///
    /// # Errors
    /// [`EvalError::Table`], [`EvalError::Drawing`].
    pub fn finish(self) -> Result<Collected<W>, EvalError> {
        let id = self.protocols.first().map_or("", |protocol| protocol.id.as_str());
        Ok(Collected {
            summary: self.means.summary(self.protocols),
            table: self.table.map(ImageTable::finish).transpose()?,
            maps: self.maps.map(LabelMapTable::finish).transpose()?,
            samples: self.samples.finish(id)?,
        })
    }
}

impl<W: Write + Send> Sink for Collector<'_, W> {
    fn row(&mut self, row: &Row<'_>) -> Result<(), EvalError> {
        let protocol = &self.protocols[row.protocol];
        let values = values(protocol, row);
        self.means.add(row, &values);
        if let Some(maps) = &mut self.maps {
            maps.push(row)?;
        }
        self.table.as_mut().map_or(Ok(()), |table| table.push(row, protocol, &values))
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
