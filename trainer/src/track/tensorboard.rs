//! TensorBoard event files: records of protobuf `Event` messages, each framed by masked CRC-32C.
//!
//! Only what is used is encoded: scalars and PNG images.

/// An event file under construction.
#[derive(Debug, Clone)]
pub struct EventFile {
    bytes: Vec<u8>,
}

/// Field numbers and wire types of `tensorflow.Event`, `Summary`, `Summary.Value`, `Summary.Image`.
mod field {
    pub const EVENT_WALL_TIME: u32 = 1;
    pub const EVENT_STEP: u32 = 2;
    pub const EVENT_FILE_VERSION: u32 = 3;
    pub const EVENT_SUMMARY: u32 = 5;
    pub const SUMMARY_VALUE: u32 = 1;
    pub const VALUE_TAG: u32 = 1;
    pub const VALUE_SIMPLE: u32 = 2;
    pub const VALUE_IMAGE: u32 = 4;
    pub const IMAGE_HEIGHT: u32 = 1;
    pub const IMAGE_WIDTH: u32 = 2;
    pub const IMAGE_COLORSPACE: u32 = 3;
    pub const IMAGE_ENCODED: u32 = 4;
}

impl EventFile {
    /// A file that starts with the version record TensorBoard looks for.
    pub fn new(wall_time: f64) -> Self {
        let mut message = Message::default();
        message.double(field::EVENT_WALL_TIME, wall_time);
        message.bytes(field::EVENT_FILE_VERSION, b"brain.Event:2");
        let mut file = Self { bytes: Vec::new() };
        file.record(&message.0);
        file
    }

    /// One value of a curve.
    pub fn scalar(&mut self, wall_time: f64, step: u64, tag: &str, number: f64) {
        let mut value = Message::default();
        value.bytes(field::VALUE_TAG, tag.as_bytes());
        value.float(field::VALUE_SIMPLE, number as f32);
        self.summary(wall_time, step, &value);
    }

    /// An RGB picture, encoded as PNG.
    pub fn image(&mut self, wall_time: f64, step: u64, tag: &str, [width, height]: [u32; 2], png: &[u8]) {
        const RGB: u64 = 3;
        let mut image = Message::default();
        image.varint(field::IMAGE_HEIGHT, u64::from(height));
        image.varint(field::IMAGE_WIDTH, u64::from(width));
        image.varint(field::IMAGE_COLORSPACE, RGB);
        image.bytes(field::IMAGE_ENCODED, png);
        let mut value = Message::default();
        value.bytes(field::VALUE_TAG, tag.as_bytes());
        value.bytes(field::VALUE_IMAGE, &image.0);
        self.summary(wall_time, step, &value);
    }

    /// The file's bytes.
    pub fn into_bytes(self) -> Vec<u8> {
        self.bytes
    }

    fn summary(&mut self, wall_time: f64, step: u64, value: &Message) {
        let mut summary = Message::default();
        summary.bytes(field::SUMMARY_VALUE, &value.0);
        let mut event = Message::default();
        event.double(field::EVENT_WALL_TIME, wall_time);
        event.varint(field::EVENT_STEP, step);
        event.bytes(field::EVENT_SUMMARY, &summary.0);
        self.record(&event.0);
    }

    /// Length, its checksum, the data, its checksum; little-endian.
    fn record(&mut self, data: &[u8]) {
        let length = (data.len() as u64).to_le_bytes();
        self.bytes.extend(length);
        self.bytes.extend(masked_crc(&length).to_le_bytes());
        self.bytes.extend(data);
        self.bytes.extend(masked_crc(data).to_le_bytes());
    }
}

/// CRC-32C, rotated and shifted so that the checksum of data that holds checksums stays good.
pub fn masked_crc(data: &[u8]) -> u32 {
    crc32c::crc32c(data).rotate_right(15).wrapping_add(0xA282_EAD8)
}

/// A protobuf message.
#[derive(Debug, Clone, Default)]
struct Message(Vec<u8>);

impl Message {
    const VARINT: u32 = 0;
    const FIXED64: u32 = 1;
    const LENGTH: u32 = 2;
    const FIXED32: u32 = 5;

    fn key(&mut self, field: u32, wire: u32) {
        self.raw_varint(u64::from(field << 3 | wire));
    }

    fn raw_varint(&mut self, mut value: u64) {
        while value >= 0x80 {
            self.0.push(value as u8 | 0x80);
            value >>= 7;
        }
        self.0.push(value as u8);
    }

    fn varint(&mut self, field: u32, value: u64) {
        self.key(field, Self::VARINT);
        self.raw_varint(value);
    }

    fn double(&mut self, field: u32, value: f64) {
        self.key(field, Self::FIXED64);
        self.0.extend(value.to_le_bytes());
    }

    fn float(&mut self, field: u32, value: f32) {
        self.key(field, Self::FIXED32);
        self.0.extend(value.to_le_bytes());
    }

    fn bytes(&mut self, field: u32, value: &[u8]) {
        self.key(field, Self::LENGTH);
        self.raw_varint(value.len() as u64);
        self.0.extend(value);
    }
}
