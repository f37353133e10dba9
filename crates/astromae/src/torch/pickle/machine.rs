//! The stack machine: runs the operations of a pickle and collects the nodes.
//!
//! Every operation needs a bounded amount of memory, so the number of operations bounds the total. No operation
//! recurses.

use std::collections::HashMap;

use super::program::Program;
use super::{Call, MAX_GLOBAL_BYTES, MAX_OPERATIONS, MAX_PICKLE_BYTES, Node, NodeId, Pickle, Value};
use crate::torch::TorchError;

/// Runs the program in `bytes`.
pub(super) fn run<'p>(bytes: &'p [u8], allowed: fn(&str, &str) -> bool) -> Result<Pickle<'p>, TorchError> {
    if bytes.len() as u64 > MAX_PICKLE_BYTES {
        return Err(TorchError::malformed(format!(
            "the pickle has {} bytes; at most {MAX_PICKLE_BYTES} are allowed",
            bytes.len()
        )));
    }
    let mut machine = Machine {
        program: Program::new(bytes),
        allowed,
        nodes: Vec::new(),
        stack: Vec::new(),
        marks: Vec::new(),
        memo: HashMap::new(),
    };
    for _ in 0..MAX_OPERATIONS {
        let start = machine.program.at();
        let root = machine.step().map_err(|error| at_byte(error, start))?;
        if let Some(root) = root {
            return Ok(Pickle { nodes: machine.nodes, root });
        }
    }
    Err(TorchError::malformed(format!("the pickle has more than {MAX_OPERATIONS} operations")))
}

fn at_byte(error: TorchError, at: usize) -> TorchError {
    match error {
        TorchError::Malformed(what) => TorchError::Malformed(format!("pickle, byte {at}: {what}")),
        TorchError::Unsupported(what) => TorchError::Unsupported(format!("pickle, byte {at}: {what}")),
        refused @ TorchError::Refused(_) => refused,
    }
}

struct Machine<'p> {
    program: Program<'p>,
    allowed: fn(&str, &str) -> bool,
    nodes: Vec<Node<'p>>,
    stack: Vec<Value<'p>>,
    /// Stack heights at the open marks.
    marks: Vec<usize>,
    memo: HashMap<u32, Value<'p>>,
}

impl<'p> Machine<'p> {
    /// Runs one operation. Returns the root after the operation `STOP`.
    fn step(&mut self) -> Result<Option<Value<'p>>, TorchError> {
        // The codes are those of the Python module `pickletools`, in the order of its documentation.
        match self.program.byte()? {
            0x80 => self.protocol()?,
            0x95 => drop(self.program.take(8)?), // FRAME: the length of the frame is not needed.
            b'.' => return self.stop().map(Some),

            b'N' => self.push(Value::None),
            0x88 => self.push(Value::Bool(true)),
            0x89 => self.push(Value::Bool(false)),
            b'J' => {
                let int = i32::from_le_bytes(self.program.array()?);
                self.push(Value::Int(i64::from(int)));
            }
            b'K' => {
                let int = self.program.byte()?;
                self.push(Value::Int(i64::from(int)));
            }
            b'M' => {
                let int = u16::from_le_bytes(self.program.array()?);
                self.push(Value::Int(i64::from(int)));
            }
            0x8a => {
                let bytes = self.program.counted(1)?;
                self.long(bytes);
            }
            0x8b => {
                let bytes = self.program.counted(4)?;
                self.long(bytes);
            }
            b'G' => {
                let float = f64::from_be_bytes(self.program.array()?);
                self.push(Value::Float(float));
            }

            0x8c => self.string(1)?,
            b'X' => self.string(4)?,
            0x8d => self.string(8)?,
            b'C' => self.byte_string(1)?,
            b'B' => self.byte_string(4)?,
            0x8e | 0x96 => self.byte_string(8)?, // BINBYTES8 and BYTEARRAY8

            b'(' => self.marks.push(self.stack.len()),
            b'0' => drop(self.pop()?),
            b'1' => drop(self.pop_to_mark()?), // Python writes it for a tuple that contains itself.
            b')' => self.push_node(Node::Tuple(Vec::new())),
            0x85 => self.short_tuple(1)?,
            0x86 => self.short_tuple(2)?,
            0x87 => self.short_tuple(3)?,
            b't' => {
                let items = self.pop_to_mark()?;
                self.push_node(Node::Tuple(items));
            }
            b']' => self.push_node(Node::List(Vec::new())),
            b'a' => {
                let item = self.pop()?;
                self.extend(vec![item])?;
            }
            b'e' => {
                let items = self.pop_to_mark()?;
                self.extend(items)?;
            }
            b'}' => self.push_node(Node::Dict(Vec::new())),
            b's' => {
                let value = self.pop()?;
                let key = self.pop()?;
                self.set_items(vec![key, value])?;
            }
            b'u' => {
                let items = self.pop_to_mark()?;
                self.set_items(items)?;
            }
            0x8f => self.push_node(Node::Set(Vec::new())),
            0x90 => self.add_items()?,
            0x91 => {
                let items = self.pop_to_mark()?;
                self.push_node(Node::Set(items));
            }

            b'q' => {
                let key = self.program.byte()?;
                self.memoize(u32::from(key))?;
            }
            b'r' => {
                let key = u32::from_le_bytes(self.program.array()?);
                self.memoize(key)?;
            }
            0x94 => self.memoize(self.memo.len() as u32)?,
            b'h' => {
                let key = self.program.byte()?;
                self.recall(u32::from(key))?;
            }
            b'j' => {
                let key = u32::from_le_bytes(self.program.array()?);
                self.recall(key)?;
            }

            b'c' => {
                let module = self.program.line()?;
                let name = self.program.line()?;
                self.global(module, name)?;
            }
            0x93 => match (self.pop()?, self.pop()?) {
                (Value::Str(name), Value::Str(module)) => self.global(module, name)?,
                _ => return Err(TorchError::malformed("the name of a class or function is not a string")),
            },
            b'R' | 0x81 => self.call()?,
            0x92 => {
                // NEWOBJ_EX: the keyword arguments are not needed, because no part of a model has them.
                self.pop()?;
                self.call()?;
            }
            b'b' => self.build()?,
            b'Q' => {
                let id = self.pop()?;
                self.push_node(Node::Persistent(id));
            }
            other => {
                return Err(TorchError::unsupported(format!(
                    "operation 0x{other:02x} is not supported; PyTorch does not write it"
                )));
            }
        }
        Ok(None)
    }

    fn protocol(&mut self) -> Result<(), TorchError> {
        match self.program.byte()? {
            2..=5 => Ok(()),
            other => Err(TorchError::unsupported(format!("protocol {other} is not supported; protocols 2 to 5 are"))),
        }
    }

    fn stop(&mut self) -> Result<Value<'p>, TorchError> {
        let root = self.pop()?;
        if !self.program.is_at_end() || !self.stack.is_empty() || !self.marks.is_empty() {
            return Err(TorchError::malformed("the pickle stops before its end, or values are left over"));
        }
        Ok(root)
    }

    /// LONG1 and LONG4: pushes a two's complement integer. One of more than 64 bits is kept as its bytes.
    fn long(&mut self, bytes: &'p [u8]) {
        let negative = bytes.last().is_some_and(|&high| high >= 0x80);
        let fill = if negative { 0xff } else { 0 };
        let (low, high) = bytes.split_at(bytes.len().min(8));
        let mut wide = [fill; 8];
        wide[..low.len()].copy_from_slice(low);
        let int = i64::from_le_bytes(wide);
        let fits = (int < 0) == negative && high.iter().all(|&byte| byte == fill);
        self.push(if fits { Value::Int(int) } else { Value::BigInt(bytes) });
    }

    fn string(&mut self, length_bytes: usize) -> Result<(), TorchError> {
        let bytes = self.program.counted(length_bytes)?;
        let string = std::str::from_utf8(bytes).map_err(|_| TorchError::malformed("a string is not UTF-8"))?;
        self.push(Value::Str(string));
        Ok(())
    }

    fn byte_string(&mut self, length_bytes: usize) -> Result<(), TorchError> {
        let bytes = self.program.counted(length_bytes)?;
        self.push(Value::Bytes(bytes));
        Ok(())
    }

    fn short_tuple(&mut self, length: usize) -> Result<(), TorchError> {
        let floor = self.floor();
        let start = self
            .stack
            .len()
            .checked_sub(length)
            .filter(|&start| start >= floor)
            .ok_or_else(|| TorchError::malformed("the stack is empty"))?;
        let items = self.stack.split_off(start);
        self.push_node(Node::Tuple(items));
        Ok(())
    }

    fn extend(&mut self, items: Vec<Value<'p>>) -> Result<(), TorchError> {
        match self.top_node()? {
            Node::List(list) => {
                list.extend(items);
                Ok(())
            }
            // An object of a subclass of list. No part of a model is one, so its items are not needed.
            Node::Call(_) => Ok(()),
            _ => Err(TorchError::malformed("items are appended to a value that is not a list")),
        }
    }

    fn set_items(&mut self, flat: Vec<Value<'p>>) -> Result<(), TorchError> {
        let (pairs, rest) = flat.as_chunks::<2>();
        if !rest.is_empty() {
            return Err(TorchError::malformed("a key of a dict has no value"));
        }
        match self.top_node()? {
            Node::Dict(items) | Node::Call(Call { items, .. }) => {
                items.extend(pairs.iter().map(|&[key, value]| (key, value)));
                Ok(())
            }
            _ => Err(TorchError::malformed("items are set on a value that is not a dict")),
        }
    }

    fn add_items(&mut self) -> Result<(), TorchError> {
        let items = self.pop_to_mark()?;
        match self.top_node()? {
            Node::Set(set) => {
                set.extend(items);
                Ok(())
            }
            Node::Call(_) => Ok(()),
            _ => Err(TorchError::malformed("items are added to a value that is not a set")),
        }
    }

    fn memoize(&mut self, key: u32) -> Result<(), TorchError> {
        let value = self.top()?;
        self.memo.insert(key, value);
        Ok(())
    }

    fn recall(&mut self, key: u32) -> Result<(), TorchError> {
        let value = *self.memo.get(&key).ok_or_else(|| TorchError::malformed(format!("memo {key} was never set")))?;
        self.push(value);
        Ok(())
    }

    fn global(&mut self, module: &'p str, name: &'p str) -> Result<(), TorchError> {
        if module.len() + name.len() > MAX_GLOBAL_BYTES || !(self.allowed)(module, name) {
            return Err(TorchError::Refused(printable(module, name)));
        }
        self.push(Value::Global(module, name));
        Ok(())
    }

    /// REDUCE and NEWOBJ: records the call of a class or function with its arguments.
    fn call(&mut self) -> Result<(), TorchError> {
        let arguments = self.pop()?;
        let Value::Global(module, name) = self.pop()? else {
            return Err(TorchError::malformed("a call of a value that is not a class or function"));
        };
        let is_tuple = matches!(arguments, Value::Node(id) if matches!(self.nodes[id.0 as usize], Node::Tuple(_)));
        if !is_tuple {
            return Err(TorchError::malformed(format!("the arguments of `{module}.{name}` are not a tuple")));
        }
        self.push_node(Node::Call(Call { module, name, arguments, state: None, items: Vec::new() }));
        Ok(())
    }

    fn build(&mut self) -> Result<(), TorchError> {
        let state = self.pop()?;
        match self.top_node()? {
            Node::Call(call) if call.state.is_none() => {
                call.state = Some(state);
                Ok(())
            }
            Node::Call(_) => Err(TorchError::malformed("the state of an object is set twice")),
            _ => Err(TorchError::malformed("state is set on a value that is not an object")),
        }
    }

    fn push(&mut self, value: Value<'p>) {
        self.stack.push(value);
    }

    fn push_node(&mut self, node: Node<'p>) {
        // Each operation makes at most one node, and there are far fewer operations than 2³².
        let id = NodeId(self.nodes.len() as u32);
        self.nodes.push(node);
        self.stack.push(Value::Node(id));
    }

    /// Stack height at the innermost mark. Values below it must not be popped.
    fn floor(&self) -> usize {
        self.marks.last().copied().unwrap_or(0)
    }

    fn pop(&mut self) -> Result<Value<'p>, TorchError> {
        if self.stack.len() <= self.floor() {
            return Err(TorchError::malformed("the stack is empty"));
        }
        self.stack.pop().ok_or_else(|| TorchError::malformed("the stack is empty"))
    }

    fn pop_to_mark(&mut self) -> Result<Vec<Value<'p>>, TorchError> {
        let mark = self.marks.pop().ok_or_else(|| TorchError::malformed("no mark on the stack"))?;
        Ok(self.stack.split_off(mark))
    }

    fn top(&self) -> Result<Value<'p>, TorchError> {
        self.stack
            .last()
            .filter(|_| self.stack.len() > self.floor())
            .copied()
            .ok_or_else(|| TorchError::malformed("the stack is empty"))
    }

    fn top_node(&mut self) -> Result<&mut Node<'p>, TorchError> {
        match self.top()? {
            Value::Node(id) => Ok(&mut self.nodes[id.0 as usize]),
            _ => Err(TorchError::malformed("a plain value was found; an object is expected")),
        }
    }
}

/// Full name of a class or function, shortened and escaped for messages, because the file may contain any bytes.
fn printable(module: &str, name: &str) -> String {
    let full = module.chars().chain(['.']).chain(name.chars());
    full.take(200).flat_map(char::escape_debug).collect()
}
