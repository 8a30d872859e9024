//! Masks made elsewhere beside the toy data, in every form, and the numbers that are expected of them.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use flate2::Compression;
use flate2::write::DeflateEncoder;
use image::GrayImage;
use png::{BitDepth, ColorType, Encoder};
use serde_json::Value;
use tempfile::TempDir;

use crate::toy::{Data, SIDE};

pub(crate) const PIXELS: usize = (SIDE * SIDE) as usize;

/// Masks beside the toy data, whose objects they hit: label 0 ground, 5 the red square, 9 the blue one.
pub(crate) struct Case {
    pub(crate) data: Data,
    pub(crate) masks: TempDir,
}

impl Case {
    pub(crate) fn new(count: u32) -> Self {
        Self { data: Data::new(count), masks: TempDir::new().unwrap() }
    }

    pub(crate) fn labels(index: u32) -> Vec<u8> {
        let inside = |x, y, [left, top, width, height]: [u32; 4]| {
            (left..left + width).contains(&x) && (top..top + height).contains(&y)
        };
        let (red, blue) = ([2 + index % 5, 3, 12, 12], [18, 16 + index % 3, 10, 10]);
        let label = |(x, y)| if inside(x, y, red) { 5 } else { 9 * u8::from(inside(x, y, blue)) };
        (0..PIXELS as u32).map(|at| label((at % SIDE, at / SIDE))).collect()
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.masks.path().join(name)
    }

    pub(crate) fn write(&self, name: &str, bytes: &[u8]) {
        std::fs::write(self.path(name), bytes).unwrap();
    }

    /// 8-bit PNG files of all pictures.
    pub(crate) fn pngs(self, count: u32) -> Self {
        for index in 0..count {
            let picture = GrayImage::from_raw(SIDE, SIDE, Self::labels(index)).unwrap();
            picture.save(self.path(&format!("{index}.png"))).unwrap();
        }
        self
    }

    pub(crate) fn run(&self, masks: &Path, more: &[&str]) -> Output {
        let mut command = Command::new(env!("CARGO_BIN_EXE_trainer"));
        command.args(["evaluate", "--json", "-", "--masks"]).arg(masks);
        command.arg("--annotations").arg(self.data.instances()).args(more).output().unwrap()
    }

    pub(crate) fn numbers(&self, masks: &str, more: &[&str]) -> Vec<Value> {
        let output = self.run(&self.path(masks), more);
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        serde_json::from_slice(&output.stdout).unwrap()
    }

    /// The whole message; the program must have ended with 1 and given a hint.
    pub(crate) fn refused(&self, masks: &str, more: &[&str]) -> String {
        let output = self.run(&self.path(masks), more);
        let message = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(1), "{message}");
        assert!(message.contains("\nhint: ") && !message.contains("panicked"), "{message}");
        message
    }
}

/// A number, and the images it is of.
pub(crate) fn value(numbers: &[Value], protocol: &str, metric: &str) -> (f64, u64) {
    let found = numbers.iter().find(|number| number["protocol"] == protocol && number["metric"] == metric).unwrap();
    (found["value"].as_f64().unwrap(), found["images"].as_u64().unwrap())
}

/// The numbers of exact masks: every metric is 1 in every protocol.
pub(crate) fn perfect(numbers: &[Value], images: u64) {
    assert_eq!(numbers.len(), 4 * 8);
    for protocol in ["glass-release", "spot", "oclf", "slotdiffusion"] {
        for metric in ["miou_i", "miou_c", "mbo_i", "mbo_c", "fg_ari", "ari", "corloc", "object_recovery"] {
            let (value, counted) = value(numbers, protocol, metric);
            assert!((value - 1.0).abs() < 1e-12 && counted == images, "{protocol} {metric}: {value}, {counted}");
        }
    }
}

/// The message says all of these.
pub(crate) fn contains(message: &str, parts: &[&str]) {
    for part in parts {
        assert!(message.contains(part), "`{part}` is not in: {message}");
    }
}

/// An array as `numpy.save` writes it.
pub(crate) fn npy(descr: &str, shape: &str, data: &[u8]) -> Vec<u8> {
    let header = format!("{{'descr': '{descr}', 'fortran_order': False, 'shape': ({shape}), }}\n");
    let mut bytes = b"\x93NUMPY\x01\x00".to_vec();
    bytes.extend((header.len() as u16).to_le_bytes());
    bytes.extend(header.as_bytes());
    bytes.extend(data);
    bytes
}

/// A zip as numpy writes it, every second entry deflated.
pub(crate) fn npz(entries: &[(String, Vec<u8>)]) -> Vec<u8> {
    let (mut bytes, mut directory) = (Vec::new(), Vec::new());
    for (index, (name, data)) in entries.iter().enumerate() {
        let name = format!("{name}.npy");
        let (method, packed) = if index % 2 == 0 {
            (0_u16, data.clone())
        } else {
            let mut encoder = DeflateEncoder::new(Vec::new(), Compression::default());
            encoder.write_all(data).unwrap();
            (8, encoder.finish().unwrap())
        };
        let start = bytes.len() as u32;
        let mut common = vec![20, 0, 0, 0];
        common.extend(method.to_le_bytes());
        common.extend([0; 8]);
        common.extend((packed.len() as u32).to_le_bytes());
        common.extend((data.len() as u32).to_le_bytes());
        common.extend((name.len() as u16).to_le_bytes());
        common.extend([0; 2]);
        bytes.extend(b"PK\x03\x04");
        bytes.extend(&common);
        bytes.extend(name.as_bytes());
        bytes.extend(packed);
        directory.extend(b"PK\x01\x02\x14\x00");
        directory.extend(&common);
        directory.extend([0; 10]);
        directory.extend(start.to_le_bytes());
        directory.extend(name.as_bytes());
    }
    let start = bytes.len() as u32;
    bytes.extend(&directory);
    bytes.extend(b"PK\x05\x06\0\0\0\0");
    bytes.extend([entries.len() as u16; 2].map(u16::to_le_bytes).concat());
    bytes.extend((directory.len() as u32).to_le_bytes());
    bytes.extend(start.to_le_bytes());
    bytes.extend([0; 2]);
    bytes
}

/// Palette PNG whose palette has `colours` entries.
pub(crate) fn palette_png(labels: &[u8], side: u32, colours: usize) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut encoder = Encoder::new(&mut bytes, side, side);
    encoder.set_color(ColorType::Indexed);
    encoder.set_depth(BitDepth::Eight);
    // Every colour is the same: only indices can tell segments apart.
    encoder.set_palette(vec![128; colours * 3]);
    encoder.write_header().unwrap().write_image_data(labels).unwrap();
    bytes
}
