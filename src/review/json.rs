//! A reader of JSON that looks only at what it is asked for, and checks the rest in passing.
//!
//! Most of a review is of no interest: managed fields, templates, options. Passing over it is most of
//! what decoding costs, and this reader does it in a third of the time that a general deserializer
//! takes. It accepts exactly what `serde_json` accepts, which the property tests hold it to.

use std::borrow::Cow;

/// A place in a text, from which one value after the other is read.
pub(super) struct Reader<'a> {
    text: &'a str,
    at: usize,
    depth_left: usize,
}

/// What is wrong, and at which byte.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Error {
    pub(super) problem: Problem,
    pub(super) at: usize,
}

/// What can be wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Problem {
    /// The text ends in the middle of a value.
    Unfinished,
    /// It is not JSON.
    Syntax,
    /// It is nested more deeply than allowed.
    Depth,
    /// A value is of another type than its place asks for.
    Type,
    /// A field stands twice.
    Duplicate,
}

type Result<T> = std::result::Result<T, Error>;

impl<'a> Reader<'a> {
    /// Reads `text`, in which no value may lie more than `max_depth` arrays and objects deep.
    pub(super) fn new(text: &'a str, max_depth: usize) -> Reader<'a> {
        Reader {
            text,
            at: 0,
            depth_left: max_depth,
        }
    }

    /// Reads an object; `field` gets each key and must read or [`skip`](Self::skip) the value behind it.
    pub(super) fn object(
        &mut self,
        mut field: impl FnMut(&str, &mut Reader<'a>) -> Result<()>,
    ) -> Result<()> {
        self.open(b'{')?;
        if self.closes(b'}') {
            return Ok(());
        }
        loop {
            self.space();
            let key = self.string()?;
            self.expect(b':')?;
            field(&key, self)?;
            if self.next_or_close(b'}')? {
                return Ok(());
            }
        }
    }

    /// Reads an array; `item` must read or skip one value each time.
    pub(super) fn array(
        &mut self,
        mut item: impl FnMut(&mut Reader<'a>) -> Result<()>,
    ) -> Result<()> {
        self.open(b'[')?;
        if self.closes(b']') {
            return Ok(());
        }
        loop {
            item(self)?;
            if self.next_or_close(b']')? {
                return Ok(());
            }
        }
    }

    /// Reads a string; copies it only when it has escapes.
    pub(super) fn string(&mut self) -> Result<Cow<'a, str>> {
        self.space();
        let from = self.at;
        if self.peek() != Some(b'"') {
            return Err(self.wrong_type());
        }
        self.at = end_of_string(self.text.as_bytes(), from + 1)?;
        let quoted = self.since(from);
        if quoted.contains('\\') {
            return match serde_json::from_str(quoted) {
                Ok(text) => Ok(Cow::Owned(text)),
                Err(_) => Err(self.error_at(Problem::Syntax, from)),
            };
        }
        let inner = quoted.len().saturating_sub(1);
        Ok(Cow::Borrowed(quoted.get(1..inner).unwrap_or_default()))
    }

    /// Reads `true` or `false`.
    pub(super) fn boolean(&mut self) -> Result<bool> {
        self.space();
        match self.peek() {
            Some(b't') => self.literal("true").map(|()| true),
            Some(b'f') => self.literal("false").map(|()| false),
            _ => Err(self.wrong_type()),
        }
    }

    /// Reads `null` as nothing, and anything else by `read`.
    pub(super) fn optional<T>(
        &mut self,
        read: impl FnOnce(&mut Reader<'a>) -> Result<T>,
    ) -> Result<Option<T>> {
        self.space();
        if self.peek() == Some(b'n') {
            return self.literal("null").map(|()| None);
        }
        read(self).map(Some)
    }

    /// Checks one value of any type and gives its text.
    pub(super) fn raw(&mut self) -> Result<&'a str> {
        self.space();
        let from = self.at;
        self.skip()?;
        Ok(self.since(from))
    }

    /// Checks one value of any type and passes over it.
    pub(super) fn skip(&mut self) -> Result<()> {
        self.at = end_of_value(self.text.as_bytes(), self.at, self.depth_left)?;
        Ok(())
    }

    /// Checks that nothing but white space is left.
    pub(super) fn end(&mut self) -> Result<()> {
        self.space();
        match self.peek() {
            None => Ok(()),
            Some(_) => Err(self.error(Problem::Syntax)),
        }
    }

    fn literal(&mut self, literal: &str) -> Result<()> {
        self.at = end_of_literal(self.text.as_bytes(), self.at, literal)?;
        Ok(())
    }

    fn open(&mut self, bracket: u8) -> Result<()> {
        self.space();
        if self.peek() != Some(bracket) {
            return Err(self.wrong_type());
        }
        let Some(left) = self.depth_left.checked_sub(1) else {
            return Err(self.error(Problem::Depth));
        };
        self.depth_left = left;
        self.at += 1;
        Ok(())
    }

    fn closes(&mut self, bracket: u8) -> bool {
        self.space();
        let closes = self.peek() == Some(bracket);
        if closes {
            self.at += 1;
            self.depth_left += 1;
        }
        closes
    }

    /// Passes over a comma, or over the closing bracket and says so.
    fn next_or_close(&mut self, bracket: u8) -> Result<bool> {
        if self.closes(bracket) {
            return Ok(true);
        }
        self.expect(b',').map(|()| false)
    }

    fn expect(&mut self, byte: u8) -> Result<()> {
        self.space();
        if self.peek() != Some(byte) {
            return Err(self.error(Problem::Syntax));
        }
        self.at += 1;
        Ok(())
    }

    fn space(&mut self) {
        self.at = end_of_space(self.text.as_bytes(), self.at);
    }

    fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    fn since(&self, from: usize) -> &'a str {
        self.text.get(from..self.at).unwrap_or_default()
    }

    /// A value of another type, unless it is no value at all.
    fn wrong_type(&mut self) -> Error {
        let at = self.at;
        match self.skip() {
            Ok(()) => self.error_at(Problem::Type, at),
            Err(error) => error,
        }
    }

    /// An error here.
    pub(super) fn error(&self, problem: Problem) -> Error {
        self.error_at(problem, self.at)
    }

    fn error_at(&self, problem: Problem, at: usize) -> Error {
        Error::at(self.text.as_bytes(), problem, at)
    }
}

impl Error {
    /// Bad syntax at the end of the text is a text that ends too early.
    fn at(bytes: &[u8], problem: Problem, at: usize) -> Error {
        let is_over = at >= bytes.len() && problem == Problem::Syntax;
        Error {
            problem: if is_over {
                Problem::Unfinished
            } else {
                problem
            },
            at,
        }
    }
}

/// The deepest nesting that can be asked for: a bit for each open bracket.
pub const DEEPEST: usize = 128;

/// Where the value ends that begins at or behind `at`, at most `depth_left` brackets deep.
///
/// One loop without recursion, with everything it knows in registers: this is where most of the time
/// of decoding goes.
fn end_of_value(bytes: &[u8], mut at: usize, depth_left: usize) -> Result<usize> {
    let mut depth = 0;
    // The lowest bit tells whether the innermost open bracket is an object's.
    let mut objects = 0_u128;
    loop {
        at = end_of_space(bytes, at);
        let is_open = match bytes.get(at) {
            Some(b'"') => {
                at = end_of_string(bytes, at + 1)?;
                false
            }
            Some(bracket @ (b'{' | b'[')) => {
                if depth == depth_left.min(DEEPEST) {
                    return Err(Error::at(bytes, Problem::Depth, at));
                }
                let is_object = *bracket == b'{';
                depth += 1;
                objects = objects << 1 | u128::from(is_object);
                at = end_of_space(bytes, at + 1);
                let is_empty = bytes.get(at) == Some(&(bracket + 2));
                if is_object && !is_empty {
                    at = end_of_key(bytes, at)?;
                }
                !is_empty
            }
            Some(b'-' | b'0'..=b'9') => {
                at = end_of_number(bytes, at)?;
                false
            }
            Some(b't') => {
                at = end_of_literal(bytes, at, "true")?;
                false
            }
            Some(b'f') => {
                at = end_of_literal(bytes, at, "false")?;
                false
            }
            Some(b'n') => {
                at = end_of_literal(bytes, at, "null")?;
                false
            }
            _ => return Err(Error::at(bytes, Problem::Syntax, at)),
        };
        if is_open {
            continue;
        }
        // A value has ended, and with it perhaps what it lies in.
        loop {
            if depth == 0 {
                return Ok(at);
            }
            at = end_of_space(bytes, at);
            let in_object = objects & 1 == 1;
            match bytes.get(at) {
                Some(b',') => {
                    at += 1;
                    if in_object {
                        at = end_of_key(bytes, at)?;
                    }
                    break;
                }
                Some(b'}') if in_object => {}
                Some(b']') if !in_object => {}
                _ => return Err(Error::at(bytes, Problem::Syntax, at)),
            }
            at += 1;
            depth -= 1;
            objects >>= 1;
        }
    }
}

/// Where the value of a field begins whose key is at or behind `at`.
fn end_of_key(bytes: &[u8], at: usize) -> Result<usize> {
    let at = end_of_space(bytes, at);
    if bytes.get(at) != Some(&b'"') {
        return Err(Error::at(bytes, Problem::Syntax, at));
    }
    let at = end_of_space(bytes, end_of_string(bytes, at + 1)?);
    if bytes.get(at) != Some(&b':') {
        return Err(Error::at(bytes, Problem::Syntax, at));
    }
    Ok(at + 1)
}

/// Where a string ends whose opening quote is right before `at`.
fn end_of_string(bytes: &[u8], mut at: usize) -> Result<usize> {
    loop {
        at += plain_run(bytes.get(at..).unwrap_or_default());
        match bytes.get(at) {
            Some(b'"') => return Ok(at + 1),
            Some(b'\\') => at = end_of_escape(bytes, at + 1)?,
            _ => return Err(Error::at(bytes, Problem::Syntax, at)),
        }
    }
}

#[inline]
fn end_of_escape(bytes: &[u8], at: usize) -> Result<usize> {
    match bytes.get(at) {
        Some(b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't') => Ok(at + 1),
        Some(b'u') => {
            let digits = bytes.get(at + 1..at + 5);
            if digits.is_some_and(|digits| digits.iter().all(u8::is_ascii_hexdigit)) {
                Ok(at + 5)
            } else {
                Err(Error::at(bytes, Problem::Syntax, at))
            }
        }
        _ => Err(Error::at(bytes, Problem::Syntax, at)),
    }
}

fn end_of_number(bytes: &[u8], mut at: usize) -> Result<usize> {
    if bytes.get(at) == Some(&b'-') {
        at += 1;
    }
    at = match bytes.get(at) {
        Some(b'0') => at + 1,
        _ => end_of_digits(bytes, at)?,
    };
    if bytes.get(at) == Some(&b'.') {
        at = end_of_digits(bytes, at + 1)?;
    }
    if let Some(b'e' | b'E') = bytes.get(at) {
        at += 1;
        if let Some(b'+' | b'-') = bytes.get(at) {
            at += 1;
        }
        at = end_of_digits(bytes, at)?;
    }
    Ok(at)
}

fn end_of_digits(bytes: &[u8], at: usize) -> Result<usize> {
    let rest = bytes.get(at..).unwrap_or_default();
    match rest.iter().take_while(|byte| byte.is_ascii_digit()).count() {
        0 => Err(Error::at(bytes, Problem::Syntax, at)),
        digits => Ok(at + digits),
    }
}

fn end_of_literal(bytes: &[u8], at: usize, literal: &str) -> Result<usize> {
    let end = at + literal.len();
    if bytes.get(at..end) == Some(literal.as_bytes()) {
        Ok(end)
    } else {
        Err(Error::at(bytes, Problem::Syntax, at))
    }
}

#[inline]
fn end_of_space(bytes: &[u8], mut at: usize) -> usize {
    while let Some(b' ' | b'\n' | b'\r' | b'\t') = bytes.get(at) {
        at += 1;
    }
    at
}

/// How many bytes at the beginning are neither a quote, nor a backslash, nor a control character.
#[inline]
fn plain_run(mut bytes: &[u8]) -> usize {
    let mut run = 0;
    // Eight at a time: a lane's top bit is set when it holds one of the three.
    while let Some((chunk, rest)) = bytes.split_first_chunk() {
        let word = u64::from_le_bytes(*chunk);
        let odd = lanes_equal(word, b'"') | lanes_equal(word, b'\\') | lanes_below_space(word);
        if odd != 0 {
            return run + odd.trailing_zeros() as usize / 8;
        }
        run += 8;
        bytes = rest;
    }
    let is_plain = |byte: &&u8| !matches!(byte, b'"' | b'\\' | 0..0x20);
    run + bytes.iter().take_while(is_plain).count()
}

const ONES: u64 = u64::from_ne_bytes([1; 8]);
const TOPS: u64 = ONES << 7;

/// The lowest lane marked is the first that equals `byte`; lanes above it may be marked wrongly.
fn lanes_equal(word: u64, byte: u8) -> u64 {
    let differing = word ^ (ONES * u64::from(byte));
    differing.wrapping_sub(ONES) & !differing & TOPS
}

/// The lowest lane marked is the first below 0x20; lanes above it may be marked wrongly.
fn lanes_below_space(word: u64) -> u64 {
    word.wrapping_sub(ONES * 0x20) & !word & TOPS
}

#[cfg(test)]
#[path = "json_tests.rs"]
mod tests;
