//! The stack machine that a pickle is a program for.

use std::collections::HashMap;
use std::io::Read;

use super::super::tensor::DType;
use super::calls::Callable;
use super::stream::Stream;
use super::{Fault, Pickled, Value};

/// Values that may be made; the largest checkpoints have some ten thousand tensors, of forty each.
const MOST_VALUES: usize = 4 << 20;

/// Reads one pickle and leaves the reader behind it.
pub(in super::super) fn read<R: Read>(reader: &mut R) -> Result<Pickled, Fault> {
    let mut machine = Machine::default();
    let mut stream = Stream(reader);
    loop {
        match stream.byte()? {
            b'.' => {
                let root = machine.pop()?;
                return Ok(Pickled { root, storages: machine.storages, nodes: machine.nodes });
            }
            opcode => machine.step(opcode, &mut stream)?,
        }
    }
}

/// The state of reading.
#[derive(Default)]
pub(super) struct Machine {
    stack: Vec<Value>,
    /// Heights of the stack at open marks.
    marks: Vec<usize>,
    memo: HashMap<u32, Value>,
    pub(super) nodes: Vec<Vec<Value>>,
    pub(super) storages: HashMap<String, DType>,
    values: usize,
}

impl Machine {
    fn step<R: Read>(&mut self, opcode: u8, stream: &mut Stream<'_, R>) -> Result<(), Fault> {
        match opcode {
            // PROTO, FRAME: say nothing about values.
            0x80 => drop(stream.byte()?),
            0x95 => drop(stream.array::<8>()?),
            // Marks and the stack itself.
            b'(' => self.marks.push(self.stack.len()),
            b'0' => drop(self.pop()?),
            b'1' => drop(self.above_mark()?),
            b'2' => {
                let top = self.top()?.clone();
                self.push(top)?;
            }
            // The memo.
            b'q' => {
                let place = u32::from(stream.byte()?);
                self.memoize(place)?;
            }
            b'r' => {
                let place = stream.u32()?;
                self.memoize(place)?;
            }
            0x94 => {
                let place = u32::try_from(self.memo.len()).unwrap_or(u32::MAX);
                self.memoize(place)?;
            }
            b'h' => {
                let place = u32::from(stream.byte()?);
                self.recall(place)?;
            }
            b'j' => {
                let place = stream.u32()?;
                self.recall(place)?;
            }
            // Containers and calls.
            b')' | b't' | 0x85..=0x87 | b']' | b'l' | b'}' | b'd' => self.build(opcode)?,
            b'a' | b'e' | b's' | b'u' => self.fill(opcode)?,
            b'c' => {
                let (module, name) = (stream.line()?, stream.line()?);
                self.push(Value::Callable(Callable::named(&module, &name)?))?;
            }
            0x93 => self.global_on_stack()?,
            b'R' => {
                let arguments = self.pop()?;
                let callable = self.pop()?;
                let value = self.call(&callable, &arguments)?;
                self.push(value)?;
            }
            b'b' => {
                self.pop()?;
                // A state dictionary carries versions of its modules as attributes.
                if !matches!(self.top()?, Value::Dict(_)) {
                    return Err(Fault::new("it sets attributes of something that is no dictionary"));
                }
            }
            b'Q' => {
                let id = self.pop()?;
                let storage = self.storage(&id)?;
                self.push(storage)?;
            }
            _ => {
                let value = constant(opcode, stream)?;
                self.push(value)?;
            }
        }
        Ok(())
    }

    /// Pushes a new tuple, list or dictionary.
    fn build(&mut self, opcode: u8) -> Result<(), Fault> {
        let items = match opcode {
            b't' | b'l' | b'd' => self.above_mark()?,
            0x85..=0x87 => {
                let count = usize::from(opcode - 0x84);
                let mut items: Vec<Value> = (0..count).map(|_| self.pop()).collect::<Result<_, _>>()?;
                items.reverse();
                items
            }
            _ => Vec::new(),
        };
        let place = self.node(items);
        self.push(match opcode {
            b']' | b'l' => Value::List(place),
            b'}' | b'd' => Value::Dict(place),
            _ => Value::Tuple(place),
        })
    }

    /// Adds to the list or dictionary below: one item or pair, or those above the mark.
    fn fill(&mut self, opcode: u8) -> Result<(), Fault> {
        let items = match opcode {
            b'a' => vec![self.pop()?],
            b's' => {
                let value = self.pop()?;
                vec![self.pop()?, value]
            }
            _ => self.above_mark()?,
        };
        let pairs = matches!(opcode, b's' | b'u');
        let place = match (self.top()?, pairs) {
            (Value::List(place), false) => *place,
            (Value::Dict(place), true) if items.len() % 2 == 0 => *place,
            _ => return Err(Fault::new("it adds to something that cannot hold it")),
        };
        self.nodes[place].extend(items);
        Ok(())
    }

    fn global_on_stack(&mut self) -> Result<(), Fault> {
        let (name, module) = (self.pop()?, self.pop()?);
        match (&module, &name) {
            (Value::Text(module), Value::Text(name)) => self.push(Value::Callable(Callable::named(module, name)?)),
            _ => Err(Fault::Call("something without a name".to_owned())),
        }
    }

    pub(super) fn node(&mut self, items: Vec<Value>) -> usize {
        self.nodes.push(items);
        self.nodes.len() - 1
    }

    fn push(&mut self, value: Value) -> Result<(), Fault> {
        self.count(1)?;
        self.stack.push(value);
        Ok(())
    }

    /// Counts values that are made, so that a small file cannot ask for more than the memory holds.
    pub(super) fn count(&mut self, values: usize) -> Result<(), Fault> {
        self.values += values;
        match self.values > MOST_VALUES {
            true => Err(Fault::new("it holds more values than a checkpoint has")),
            false => Ok(()),
        }
    }

    /// The height below which an open mark keeps values from being taken.
    fn floor(&self) -> usize {
        self.marks.last().copied().unwrap_or(0)
    }

    fn pop(&mut self) -> Result<Value, Fault> {
        match self.stack.len() > self.floor() {
            true => self.stack.pop().ok_or_else(empty),
            false => Err(empty()),
        }
    }

    fn top(&self) -> Result<&Value, Fault> {
        match self.stack.len() > self.floor() {
            true => self.stack.last().ok_or_else(empty),
            false => Err(empty()),
        }
    }

    /// Takes what lies above the innermost mark, and the mark.
    fn above_mark(&mut self) -> Result<Vec<Value>, Fault> {
        let mark = self.marks.pop().ok_or_else(empty)?;
        Ok(self.stack.split_off(mark))
    }

    fn memoize(&mut self, place: u32) -> Result<(), Fault> {
        let top = self.top()?.clone();
        self.memo.insert(place, top);
        Ok(())
    }

    fn recall(&mut self, place: u32) -> Result<(), Fault> {
        let value = self.memo.get(&place).cloned();
        self.push(value.ok_or_else(|| Fault::new("it refers to a value that is not there"))?)
    }
}

fn empty() -> Fault {
    Fault::new("it takes a value where there is none")
}

/// A value that stands in the pickle itself.
fn constant<R: Read>(opcode: u8, stream: &mut Stream<'_, R>) -> Result<Value, Fault> {
    Ok(match opcode {
        b'N' => Value::None,
        0x88 => Value::Bool(true),
        0x89 => Value::Bool(false),
        b'J' => Value::Int(i64::from(i32::from_le_bytes(stream.array()?))),
        b'K' => Value::Int(i64::from(stream.byte()?)),
        b'M' => Value::Int(i64::from(u16::from_le_bytes(stream.array()?))),
        b'G' => {
            stream.array::<8>()?;
            Value::Other
        }
        0x8a => {
            let count = stream.byte()?;
            stream.long(count.into())?
        }
        0x8b => {
            let count = stream.u32()?;
            stream.long(count.into())?
        }
        // Texts; those of Python 2 are bytes that hold names.
        0x8c | b'U' => {
            let count = stream.byte()?;
            stream.text(count.into())?
        }
        b'X' | b'T' => {
            let count = stream.u32()?;
            stream.text(count.into())?
        }
        0x8d => {
            let count = u64::from_le_bytes(stream.array()?);
            stream.text(count)?
        }
        b'C' => {
            let count = stream.byte()?;
            stream.bytes(count.into()).map(|_| Value::Other)?
        }
        b'B' => {
            let count = stream.u32()?;
            stream.bytes(count.into()).map(|_| Value::Other)?
        }
        _ => return Err(Fault::new(format!("it holds the opcode {opcode:#04x}, which torch does not write"))),
    })
}
