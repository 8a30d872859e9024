//! The numbers and texts in a pickle.

use std::io::Read;
use std::rc::Rc;

use super::{Fault, Value};

/// The longest text, name or number; those of checkpoints are below a hundred bytes.
const LONGEST: u64 = 1 << 20;

/// Reads the arguments of opcodes.
pub(super) struct Stream<'r, R>(pub(super) &'r mut R);

impl<R: Read> Stream<'_, R> {
    pub(super) fn byte(&mut self) -> Result<u8, Fault> {
        self.array::<1>().map(|[byte]| byte)
    }

    pub(super) fn array<const N: usize>(&mut self) -> Result<[u8; N], Fault> {
        let mut bytes = [0; N];
        self.0.read_exact(&mut bytes)?;
        Ok(bytes)
    }

    pub(super) fn u32(&mut self) -> Result<u32, Fault> {
        self.array().map(u32::from_le_bytes)
    }

    pub(super) fn bytes(&mut self, count: u64) -> Result<Vec<u8>, Fault> {
        if count > LONGEST {
            return Err(Fault::new(format!("it holds a text of {count} bytes")));
        }
        let mut bytes = vec![0; count as usize];
        self.0.read_exact(&mut bytes)?;
        Ok(bytes)
    }

    pub(super) fn text(&mut self, count: u64) -> Result<Value, Fault> {
        let text = String::from_utf8(self.bytes(count)?);
        let text = text.map_err(|_| Fault::new("a text in it is not UTF-8"))?;
        Ok(Value::Text(Rc::from(text)))
    }

    /// The rest of a line, without its end.
    pub(super) fn line(&mut self) -> Result<String, Fault> {
        let mut line = Vec::new();
        loop {
            match self.byte()? {
                b'\n' => break,
                byte if (line.len() as u64) < LONGEST => line.push(byte),
                _ => return Err(Fault::new("a line in it has no end")),
            }
        }
        String::from_utf8(line).map_err(|_| Fault::new("a name in it is not UTF-8"))
    }

    /// A number of any length in two's complement; one that is too long for tensors means nothing.
    pub(super) fn long(&mut self, count: u64) -> Result<Value, Fault> {
        let bytes = self.bytes(count)?;
        if bytes.len() > 8 {
            return Ok(Value::Other);
        }
        let negative = bytes.last().is_some_and(|byte| byte & 0x80 != 0);
        let mut whole = [if negative { 0xff } else { 0 }; 8];
        whole[..bytes.len()].copy_from_slice(&bytes);
        Ok(Value::Int(i64::from_le_bytes(whole)))
    }
}
