//! Python's pickle as data: a machine that builds lists, dictionaries and tensors, and calls nothing.
//!
//! What a pickle would call or construct becomes [`Value::Object`], a name without effect. The opcodes are
//! those of Python's `pickletools`, protocols 0 to 5.

use std::collections::HashMap;
use std::sync::Arc;

use super::Failure;
use super::tensor::{Storage, Tensor};

/// Why a short pickle cannot be read.
const ENDS_EARLY: &str = "the pickle ends too early";

/// How a reason ends where a text or number is longer than what is left.
const BEYOND: &str = "goes beyond the pickle";

/// Whether a pickle cannot be read for `reason` because bytes are missing at its end.
pub(super) fn is_short(reason: &str) -> bool {
    reason == ENDS_EARLY || reason.ends_with(BEYOND)
}

/// A Python value. Containers are places in the [`Heap`], so that however deeply a pickle nests them nothing
/// here recurses, and a container that holds itself does no harm.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Value {
    None,
    Bool(bool),
    Int(i64),
    Float(f64),
    /// A text, by its place in the heap.
    Text(usize),
    /// A list, tuple or set.
    Sequence(usize),
    Dict(usize),
    /// A class or function, by the place of its name.
    Global(usize),
    Storage(usize),
    Tensor(usize),
    /// Something that only Python could make, by the place of the name of its maker.
    Object(usize),
    /// A string of bytes, or a number beyond 64 bits.
    Other,
}

/// Where a module of PyTorch keeps its parameters among its attributes.
const PARAMETERS: &str = "_parameters";
/// What all of one reading may write into memory, in bytes: values, texts and what is copied of them, also where it is dropped again.
///
/// A file can name a text or a list again in two bytes, so that neither its size nor the number of its opcodes bounds what they cost.
/// The index of a Stable Diffusion with the state of its training takes a few million.
pub(super) const BUDGET: usize = 128 << 20;

/// What the values of a pickle refer to.
#[derive(Debug, Default)]
pub(super) struct Heap {
    spent: usize,
    pub(super) texts: Vec<Arc<str>>,
    pub(super) sequences: Vec<Vec<Value>>,
    pub(super) dicts: Vec<Vec<(Value, Value)>>,
    pub(super) storages: Vec<Storage>,
    pub(super) tensors: Vec<Tensor>,
}

impl Heap {
    /// Takes bytes from the [`BUDGET`]; what allocates or copies asks here first.
    pub(super) fn spend(&mut self, bytes: usize) -> Result<(), Failure> {
        self.spent = self.spent.saturating_add(bytes);
        if self.spent > BUDGET { Err(Failure::Costly) } else { Ok(()) }
    }

    /// Takes the bytes of a new object with so many items.
    fn spend_items<T>(&mut self, items: usize) -> Result<(), Failure> {
        /// Of its place in the heap and its allocation.
        const OBJECT: usize = 64;
        self.spend(items.saturating_mul(size_of::<T>()).saturating_add(OBJECT))
    }

    /// The text of a value that is one.
    pub(super) fn text(&self, value: Value) -> Option<&str> {
        match value {
            Value::Text(place) => Some(&self.texts[place]),
            _ => None,
        }
    }

    /// The items of a value that is a list, tuple or set.
    pub(super) fn sequence(&self, value: Value) -> Option<&[Value]> {
        match value {
            Value::Sequence(place) => Some(&self.sequences[place]),
            _ => None,
        }
    }

    /// The value of a dictionary's text key, the last one if it is there twice.
    pub(super) fn get(&self, dict: Value, key: &str) -> Option<Value> {
        let Value::Dict(place) = dict else { return None };
        let found = self.dicts[place].iter().rev().find(|(found, _)| self.text(*found) == Some(key));
        found.map(|(_, value)| *value)
    }

    /// The text itself, which whoever keeps it shares.
    pub(super) fn shared_text(&self, value: Value) -> Option<Arc<str>> {
        match value {
            Value::Text(place) => Some(self.texts[place].clone()),
            _ => None,
        }
    }

    fn new_text(&mut self, text: &str) -> Result<usize, Failure> {
        self.spend_items::<u8>(text.len())?;
        self.texts.push(text.into());
        Ok(self.texts.len() - 1)
    }

    /// The dotted name of a class or function.
    fn new_name(&mut self, module: &str, name: &str) -> Result<usize, Failure> {
        self.spend(module.len().saturating_add(name.len()))?;
        self.new_text(&format!("{module}.{name}"))
    }

    fn new_sequence(&mut self, items: Vec<Value>) -> Result<Value, Failure> {
        self.spend_items::<Value>(items.len())?;
        self.sequences.push(items);
        Ok(Value::Sequence(self.sequences.len() - 1))
    }

    fn new_dict(&mut self, items: Vec<(Value, Value)>) -> Result<Value, Failure> {
        self.spend_items::<(Value, Value)>(items.len())?;
        self.dicts.push(items);
        Ok(Value::Dict(self.dicts.len() - 1))
    }
}

/// Reads one pickle from the beginning of `bytes`; returns its value and its length.
pub(super) fn read(bytes: &[u8], heap: &mut Heap) -> Result<(Value, usize), Failure> {
    let mut machine = Machine { rest: bytes, heap, stack: Vec::new(), marks: Vec::new(), memo: HashMap::new() };
    let value = machine.run()?;
    let length = bytes.len() - machine.rest.len();
    Ok((value, length))
}

struct Machine<'a> {
    rest: &'a [u8],
    heap: &'a mut Heap,
    stack: Vec<Value>,
    /// Heights of the stack.
    marks: Vec<usize>,
    memo: HashMap<usize, Value>,
}

impl Machine<'_> {
    fn run(&mut self) -> Result<Value, Failure> {
        loop {
            let opcode = self.byte()?;
            match opcode {
                b'.' => return self.pop(),
                0x80 => _ = self.byte()?,
                0x95 => _ = self.take(8)?,
                b'(' => {
                    self.heap.spend(size_of::<usize>())?;
                    self.marks.push(self.stack.len());
                }
                b'0' => _ = self.pop()?,
                b'1' => _ = self.pop_mark()?,
                b'2' => self.top().and_then(|top| self.push(top))?,
                b'N' => self.push(Value::None)?,
                0x88 => self.push(Value::Bool(true))?,
                0x89 => self.push(Value::Bool(false))?,
                b'I' | b'J' | b'K' | b'M' | b'L' | 0x8a | 0x8b | b'F' | b'G' => self.number(opcode)?,
                b'S' | b'T' | b'U' | b'V' | b'X' | 0x8c | 0x8d => self.string(opcode)?,
                b'B' | b'C' | 0x8e | 0x96 => {
                    let length = self.length(opcode)?;
                    self.take(length)?;
                    self.push(Value::Other)?;
                }
                b']' | b')' | 0x8f => self.push_sequence(Vec::new())?,
                b'l' | b't' | 0x91 => self.pop_mark().and_then(|items| self.push_sequence(items))?,
                0x85..=0x87 => {
                    self.pop_many(usize::from(opcode - 0x84)).and_then(|items| self.push_sequence(items))?;
                }
                b'}' => self.push_dict(&[])?,
                b'd' => self.pop_mark().and_then(|items| self.push_dict(&items))?,
                b'a' => self.pop_many(1).and_then(|items| self.append(&items))?,
                b'e' | 0x90 => self.pop_mark().and_then(|items| self.append(&items))?,
                b's' => self.pop_many(2).and_then(|items| self.set_items(&items))?,
                b'u' => self.pop_mark().and_then(|items| self.set_items(&items))?,
                b'c' | 0x93 | b'i' | b'o' | b'R' | 0x81 | 0x92 | b'b' => self.object(opcode)?,
                b'P' | b'Q' => self.persistent(opcode)?,
                b'g' | b'h' | b'j' | b'p' | b'q' | b'r' | 0x94 => self.memo(opcode)?,
                other => return Err(format!("the opcode {other:#04x} is not supported").into()),
            }
        }
    }

    fn byte(&mut self) -> Result<u8, Failure> {
        Ok(self.take(1)?[0])
    }

    fn take(&mut self, count: usize) -> Result<&[u8], Failure> {
        let (taken, rest) = self.rest.split_at_checked(count).ok_or(ENDS_EARLY)?;
        self.rest = rest;
        Ok(taken)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], Failure> {
        Ok(self.take(N)?.try_into().expect("N bytes"))
    }

    /// A text up to the end of the line.
    fn line(&mut self) -> Result<String, Failure> {
        let end = self.rest.iter().position(|byte| *byte == b'\n').ok_or(ENDS_EARLY)?;
        let line = self.take(end + 1)?;
        Ok(String::from_utf8_lossy(&line[..end]).into_owned())
    }

    /// The length in front of a string, which must not go beyond the pickle.
    fn length(&mut self, opcode: u8) -> Result<usize, Failure> {
        let length = match opcode {
            b'U' | b'C' | 0x8c => u64::from(self.byte()?),
            b'T' | b'X' | b'B' => u64::from(u32::from_le_bytes(self.array()?)),
            _ => u64::from_le_bytes(self.array()?),
        };
        usize::try_from(length).ok().filter(|length| *length <= self.rest.len()).ok_or_else(|| too_long(length))
    }

    fn push(&mut self, value: Value) -> Result<(), Failure> {
        self.heap.spend(size_of::<Value>())?;
        self.stack.push(value);
        Ok(())
    }

    fn pop(&mut self) -> Result<Value, Failure> {
        let floor = self.marks.last().copied().unwrap_or(0);
        if self.stack.len() <= floor {
            return Err("the stack is empty".into());
        }
        Ok(self.stack.pop().expect("not empty"))
    }

    fn top(&self) -> Result<Value, Failure> {
        Ok(*self.stack.last().ok_or("the stack is empty")?)
    }

    fn pop_many(&mut self, count: usize) -> Result<Vec<Value>, Failure> {
        let floor = self.marks.last().copied().unwrap_or(0);
        let start = self.stack.len().checked_sub(count).filter(|start| *start >= floor).ok_or("the stack is empty")?;
        Ok(self.stack.split_off(start))
    }

    fn pop_mark(&mut self) -> Result<Vec<Value>, Failure> {
        let mark = self.marks.pop().ok_or("there is no mark")?;
        if mark > self.stack.len() {
            return Err("the stack is below its mark".into());
        }
        Ok(self.stack.split_off(mark))
    }

    fn push_sequence(&mut self, items: Vec<Value>) -> Result<(), Failure> {
        let sequence = self.heap.new_sequence(items)?;
        self.push(sequence)
    }

    fn push_dict(&mut self, items: &[Value]) -> Result<(), Failure> {
        let dict = self.heap.new_dict(pairs(items)?)?;
        self.push(dict)
    }

    fn number(&mut self, opcode: u8) -> Result<(), Failure> {
        let value = match opcode {
            b'I' => match self.line()?.as_str() {
                "00" => Value::Bool(false),
                "01" => Value::Bool(true),
                text => text.parse().map_or(Value::Other, Value::Int),
            },
            b'L' => self.line()?.trim_end_matches('L').parse().map_or(Value::Other, Value::Int),
            b'F' => self.line()?.parse().map_or(Value::Other, Value::Float),
            b'G' => Value::Float(f64::from_be_bytes(self.array()?)),
            b'J' => Value::Int(i64::from(i32::from_le_bytes(self.array()?))),
            b'K' => Value::Int(i64::from(self.byte()?)),
            b'M' => Value::Int(i64::from(u16::from_le_bytes(self.array()?))),
            _ => {
                let length = if opcode == 0x8a {
                    usize::from(self.byte()?)
                } else {
                    let length = u32::from_le_bytes(self.array()?);
                    usize::try_from(length).map_err(|_| too_long(u64::from(length)))?
                };
                long(self.take(length)?)
            }
        };
        self.push(value)
    }

    fn string(&mut self, opcode: u8) -> Result<(), Failure> {
        let text = match opcode {
            b'S' => self.line()?.trim_matches(['\'', '"']).to_owned(),
            b'V' => self.line()?,
            _ => {
                let length = self.length(opcode)?;
                String::from_utf8_lossy(self.take(length)?).into_owned()
            }
        };
        let place = self.heap.new_text(&text)?;
        self.push(Value::Text(place))
    }

    fn append(&mut self, items: &[Value]) -> Result<(), Failure> {
        self.heap.spend(size_of_val(items))?;
        match self.top()? {
            Value::Sequence(place) => self.heap.sequences[place].extend(items),
            Value::Object(_) => {}
            _ => return Err("items are appended to something that is no list".into()),
        }
        Ok(())
    }

    fn set_items(&mut self, items: &[Value]) -> Result<(), Failure> {
        self.heap.spend(size_of_val(items))?;
        match self.top()? {
            Value::Dict(place) => self.heap.dicts[place].extend(pairs(items)?),
            Value::Object(_) => {}
            _ => return Err("items are set in something that is no dictionary".into()),
        }
        Ok(())
    }

    fn memo(&mut self, opcode: u8) -> Result<(), Failure> {
        let index = match opcode {
            b'g' | b'p' => self.line()?.parse().map_err(|_| "a memo index is no number")?,
            b'h' | b'q' => usize::from(self.byte()?),
            0x94 => self.memo.len(),
            _ => u32::from_le_bytes(self.array()?) as usize,
        };
        if matches!(opcode, b'g' | b'h' | b'j') {
            let value = *self.memo.get(&index).ok_or("a memo entry is missing")?;
            return self.push(value);
        }
        // A map keeps room for twice its entries.
        self.heap.spend(2 * size_of::<(usize, Value)>())?;
        self.memo.insert(index, self.top()?);
        Ok(())
    }

    /// Names of classes and functions, and what Python would do with them.
    fn object(&mut self, opcode: u8) -> Result<(), Failure> {
        let value = match opcode {
            b'c' => {
                let (module, name) = (self.line()?, self.line()?);
                Value::Global(self.heap.new_name(&module, &name)?)
            }
            0x93 => {
                let names = self.pop_many(2)?;
                let [Some(module), Some(name)] = [names[0], names[1]].map(|name| self.heap.shared_text(name)) else {
                    return Err("a class is named by something that is no text".into());
                };
                Value::Global(self.heap.new_name(&module, &name)?)
            }
            b'i' => {
                let (module, name) = (self.line()?, self.line()?);
                self.pop_mark()?;
                Value::Object(self.heap.new_name(&module, &name)?)
            }
            b'o' => {
                let items = self.pop_mark()?;
                self.opaque(*items.first().ok_or("a class is missing")?)?
            }
            0x92 => {
                let items = self.pop_many(3)?;
                self.opaque(items[0])?
            }
            b'b' => {
                // The state of an object: of a parameter dictionary its parameters, else the attributes of an ordered dictionary, or of
                // what is not read anyway.
                let state = self.pop()?;
                if let (Value::Dict(place), Some(Value::Dict(parameters))) =
                    (self.top()?, self.heap.get(state, PARAMETERS))
                {
                    let parameters = self.heap.dicts[parameters].clone();
                    self.heap.dicts[place].extend(parameters);
                }
                return Ok(());
            }
            _ => {
                let items = self.pop_many(2)?;
                self.call(items[0], items[1])?
            }
        };
        self.push(value)
    }

    fn opaque(&mut self, maker: Value) -> Result<Value, Failure> {
        Ok(match maker {
            Value::Global(name) | Value::Object(name) => Value::Object(name),
            _ => Value::Object(self.heap.new_text("an object")?),
        })
    }

    /// What a call that builds a tensor or a dictionary would return; every other call is an object.
    fn call(&mut self, maker: Value, arguments: Value) -> Result<Value, Failure> {
        let Value::Global(name) = maker else { return self.opaque(maker) };
        let first = self.heap.sequence(arguments).and_then(|arguments| arguments.first().copied());
        Ok(match &*self.heap.texts[name] {
            "collections.OrderedDict" => {
                let items = first.and_then(|items| self.heap.sequence(items)).unwrap_or_default();
                let pair = |item: &Value| match self.heap.sequence(*item) {
                    Some(&[key, value]) => Some((key, value)),
                    _ => None,
                };
                let (count, pairs) = (items.len(), items.iter().filter_map(pair).collect());
                // Those that are no pairs were looked at too.
                self.heap.spend(count)?;
                self.heap.new_dict(pairs)?
            }
            // Its state comes after it.
            "torch.nn.modules.container.ParameterDict" => self.heap.new_dict(Vec::new())?,
            "torch._utils._rebuild_tensor" | "torch._utils._rebuild_tensor_v2" | "torch._utils._rebuild_tensor_v3" => {
                let tensor = Tensor::rebuild(self.heap.sequence(arguments).unwrap_or_default(), self.heap)?;
                self.heap.spend_items::<Tensor>(1)?;
                self.heap.tensors.push(tensor);
                Value::Tensor(self.heap.tensors.len() - 1)
            }
            // The arguments begin with the tensor.
            "torch._utils._rebuild_parameter" | "torch._utils._rebuild_parameter_with_state" => {
                first.unwrap_or(Value::Object(name))
            }
            _ => Value::Object(name),
        })
    }

    /// A storage: `("storage", class, key, location, elements)`.
    fn persistent(&mut self, opcode: u8) -> Result<(), Failure> {
        if opcode == b'P' {
            return Err("persistent ids of text are not supported".into());
        }
        let id = self.pop()?;
        let fields = self.heap.sequence(id).unwrap_or_default();
        let storage = Storage::from_id(fields, self.heap)?;
        self.heap.spend_items::<Storage>(1)?;
        self.heap.storages.push(storage);
        self.push(Value::Storage(self.heap.storages.len() - 1))
    }
}

fn too_long(length: u64) -> Failure {
    format!("a length of {length} {BEYOND}").into()
}

fn pairs(items: &[Value]) -> Result<Vec<(Value, Value)>, Failure> {
    let (pairs, rest) = items.as_chunks::<2>();
    if !rest.is_empty() {
        return Err("a key of a dictionary has no value".into());
    }
    Ok(pairs.iter().map(|[key, value]| (*key, *value)).collect())
}

/// A little-endian number in two's complement; those beyond 64 bits describe no tensor.
fn long(bytes: &[u8]) -> Value {
    let Some(last) = bytes.last() else { return Value::Int(0) };
    if bytes.len() > 8 {
        return Value::Other;
    }
    let mut wide = [if last & 0x80 == 0 { 0 } else { 0xff }; 8];
    wide[..bytes.len()].copy_from_slice(bytes);
    Value::Int(i64::from_le_bytes(wide))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn value(bytes: &[u8]) -> Result<(Value, Heap), String> {
        let mut heap = Heap::default();
        match read(bytes, &mut heap) {
            Ok((value, _)) => Ok((value, heap)),
            Err(Failure::Costly) => Err("costly".to_owned()),
            Err(Failure::Malformed(reason) | Failure::Truncated(reason) | Failure::Object(reason)) => Err(reason),
            Err(Failure::Foreign(found, _)) => Err(found.to_owned()),
        }
    }

    /// `pickle.dumps({"a": [1, -2, 300, True, None]}, protocol=2)`, and protocol 0 of a dictionary.
    #[test]
    fn python_values_are_read() {
        let (dict, heap) =
            value(b"\x80\x02}q\x00X\x01\x00\x00\x00aq\x01]q\x02(K\x01J\xfe\xff\xff\xffM,\x01\x88Nes.").unwrap();
        let list = heap.get(dict, "a").unwrap();
        let expected = [Value::Int(1), Value::Int(-2), Value::Int(300), Value::Bool(true), Value::None];
        assert_eq!(heap.sequence(list).unwrap(), expected);

        let (dict, heap) = value(b"(dp0\nVa\np1\nI5\nsVb\np2\nL7L\ns.").unwrap();
        assert_eq!((heap.get(dict, "a"), heap.get(dict, "b")), (Some(Value::Int(5)), Some(Value::Int(7))));
    }

    #[test]
    fn a_call_is_only_a_name() {
        let (call, heap) = value(b"cposix\nsystem\n(X\x04\x00\x00\x00exittR.").unwrap();
        let Value::Object(name) = call else { panic!("{call:?}") };
        assert_eq!(&*heap.texts[name], "posix.system");
    }

    /// `pickle.dumps([1.5, -2.0])` of protocol 2 and of protocol 0.
    #[test]
    fn numbers_with_fractions_are_read() {
        for bytes in [&b"\x80\x02](G\x3f\xf8\0\0\0\0\0\0G\xc0\0\0\0\0\0\0\0e."[..], b"(lF1.5\naF-2.0\na."] {
            let (list, heap) = value(bytes).unwrap();
            assert_eq!(heap.sequence(list).unwrap(), [Value::Float(1.5), Value::Float(-2.0)]);
        }
    }

    /// What `torch.nn.ParameterDict` is pickled to: an object, and a state with `_parameters`. It is referred to by the memo too.
    #[test]
    fn a_parameter_dictionary_is_its_parameters() {
        let bytes = b"ctorch.nn.modules.container\nParameterDict\n)\x81q\x01}(X\x08\0\0\0trainingK\x01\
                      X\x0b\0\0\0_parameters}X\x01\0\0\0*K\x07sub0h\x01.";
        let (dict, heap) = value(bytes).unwrap();
        assert_eq!(heap.get(dict, "*"), Some(Value::Int(7)));
        assert_eq!(heap.get(dict, "training"), None);
        // The attributes of another dictionary, such as the `_metadata` of a state dictionary, are none of its items.
        let bytes = b"ccollections\nOrderedDict\n)R}X\x09\0\0\0_metadataK\x01sb.";
        let (dict, heap) = value(bytes).unwrap();
        let Value::Dict(place) = dict else { panic!("{dict:?}") };
        assert!(heap.dicts[place].is_empty());
    }

    #[test]
    fn a_class_may_be_a_key_and_an_object_a_value() {
        let (dict, heap) = value(b"}(cx\nY\nK\x01X\x01\x00\x00\x00bcx\nY\n)\x81}K\x02K\x03sbu.").unwrap();
        assert!(matches!(heap.get(dict, "b"), Some(Value::Object(_))));
    }

    #[test]
    fn nesting_and_cycles_do_no_harm() {
        let mut deep = vec![b']'; 100_000];
        deep.extend(vec![b'a'; 99_999]);
        deep.push(b'.');
        assert!(value(&deep).is_ok());
        // l = []; l.append(l)
        assert!(value(b"]q\x00h\x00a.").is_ok());
    }

    #[test]
    fn damaged_pickles_are_errors() {
        let cases: [(&[u8], &str); 9] = [
            (b"", "ends too early"),
            (b"X\xff\xff\xff\xffa.", "goes beyond the pickle"),
            (b"\x8d\xff\xff\xff\xff\xff\xff\xff\xffa.", "goes beyond the pickle"),
            (b".", "stack is empty"),
            (b"(0.", "stack is empty"),
            (b"t.", "no mark"),
            (b"h\x05.", "memo entry is missing"),
            (b"K\x01K\x02K\x03s.", "no dictionary"),
            (b"\xff", "opcode 0xff"),
        ];
        for (bytes, named) in cases {
            let error = value(bytes).unwrap_err();
            assert!(error.contains(named), "{error}");
        }
    }

    /// A text of a million bytes, which the memo has as 0.
    fn large_text() -> Vec<u8> {
        let mut pickle = b"X\x40\x42\x0f\x00".to_vec();
        pickle.resize(pickle.len() + 1_000_000, b'a');
        pickle.extend(b"q\x00");
        pickle
    }

    /// Each is short for what it would cost: 1 to 30 MB of file, and gigabytes or minutes.
    #[test]
    fn what_costs_more_than_an_index_is_refused_at_once() {
        let repeated =
            |start: Vec<u8>, again: &[u8], times: usize| [start, again.repeat(times), b".".to_vec()].concat();
        let many = |end: &[u8]| [b"(".as_slice(), &b"N".repeat(1_000_000), b"tq\x00", end].concat();
        let pairs = [b"(".as_slice(), &b"K\x01K\x02\x86".repeat(200_000), b"lq\x00"].concat();
        let cases = [
            ("a text as the name of classes", repeated(large_text(), b"h\x00h\x00\x93", 5000)),
            (
                "arguments of calls",
                repeated(
                    [many(b""), b"ccollections\nOrderedDict\nq\x01".to_vec()].concat(),
                    b"h\x01h\x00\x85R",
                    200_000,
                ),
            ),
            (
                "a list of pairs for dictionaries",
                repeated([pairs, b"ccollections\nOrderedDict\nq\x01".to_vec()].concat(), b"h\x01h\x00\x85R", 10_000),
            ),
            ("tuples in tuples", repeated(b"N".to_vec(), b"\x85\x94", 15_000_000)),
            ("lists without end", b"]".repeat(30_000_000)),
            ("values without end", b"N".repeat(30_000_000)),
            ("marks without end", b"(".repeat(30_000_000)),
            ("values of the memo", repeated(b"Nq\x00".to_vec(), b"h\x00", 15_000_000)),
            ("entries of the memo", repeated(b"N".to_vec(), b"\x94", 30_000_000)),
        ];
        for (what, pickle) in cases {
            let start = std::time::Instant::now();
            assert_eq!(value(&pickle).map(|_| ()).unwrap_err(), "costly", "{what}");
            // Without optimisation and on a busy machine; an optimised build takes less than a second.
            assert!(start.elapsed().as_secs() < 10, "{what}: {:?}", start.elapsed());
        }
    }

    #[test]
    fn calls_with_many_arguments_do_not_copy_them() {
        let arguments = [b"(".as_slice(), &b"N".repeat(1_000_000), b"tq\x00cx\nY\nq\x01"].concat();
        let pickle = [arguments, b"h\x01h\x00R0".repeat(200_000), b".".to_vec()].concat();
        let start = std::time::Instant::now();
        assert!(value(&pickle).is_ok());
        assert!(start.elapsed().as_secs() < 10, "{:?}", start.elapsed());
    }
}
