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
    pub(super) fn array(&mut self, mut item: impl FnMut(&mut Reader<'a>) -> Result<()>) -> Result<()> {
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
        let has_escapes = self.skip_string()?;
        let quoted = self.since(from);
        if has_escapes {
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
        self.space();
        match self.peek() {
            Some(b'"') => self.skip_string().map(|_| ()),
            Some(b'{') => self.skip_object(),
            Some(b'[') => self.array(Reader::skip),
            Some(b'-' | b'0'..=b'9') => self.skip_number(),
            Some(b't') => self.literal("true"),
            Some(b'f') => self.literal("false"),
            Some(b'n') => self.literal("null"),
            _ => Err(self.error(Problem::Syntax)),
        }
    }

    /// Checks that nothing but white space is left.
    pub(super) fn end(&mut self) -> Result<()> {
        self.space();
        match self.peek() {
            None => Ok(()),
            Some(_) => Err(self.error(Problem::Syntax)),
        }
    }

    fn skip_object(&mut self) -> Result<()> {
        self.open(b'{')?;
        if self.closes(b'}') {
            return Ok(());
        }
        loop {
            self.space();
            self.skip_string()?;
            self.expect(b':')?;
            self.skip()?;
            if self.next_or_close(b'}')? {
                return Ok(());
            }
        }
    }

    /// Passes over a string that begins here; tells whether it has escapes.
    fn skip_string(&mut self) -> Result<bool> {
        self.expect(b'"')?;
        let mut has_escapes = false;
        loop {
            self.at += plain_run(self.rest());
            match self.peek() {
                Some(b'"') => {
                    self.at += 1;
                    return Ok(has_escapes);
                }
                Some(b'\\') => {
                    has_escapes = true;
                    self.at += 1;
                    self.skip_escape()?;
                }
                _ => return Err(self.error(Problem::Syntax)),
            }
        }
    }

    fn skip_escape(&mut self) -> Result<()> {
        match self.peek() {
            Some(b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't') => {
                self.at += 1;
                Ok(())
            }
            Some(b'u') => {
                self.at += 1;
                let digits = self.rest().get(..4);
                if !digits.is_some_and(|digits| digits.iter().all(u8::is_ascii_hexdigit)) {
                    return Err(self.error(Problem::Syntax));
                }
                self.at += 4;
                Ok(())
            }
            _ => Err(self.error(Problem::Syntax)),
        }
    }

    fn skip_number(&mut self) -> Result<()> {
        if self.peek() == Some(b'-') {
            self.at += 1;
        }
        match self.peek() {
            Some(b'0') => self.at += 1,
            Some(b'1'..=b'9') => self.digits()?,
            _ => return Err(self.error(Problem::Syntax)),
        }
        if self.peek() == Some(b'.') {
            self.at += 1;
            self.digits()?;
        }
        if let Some(b'e' | b'E') = self.peek() {
            self.at += 1;
            if let Some(b'+' | b'-') = self.peek() {
                self.at += 1;
            }
            self.digits()?;
        }
        Ok(())
    }

    fn digits(&mut self) -> Result<()> {
        let digits = self.rest().iter().take_while(|byte| byte.is_ascii_digit()).count();
        if digits == 0 {
            return Err(self.error(Problem::Syntax));
        }
        self.at += digits;
        Ok(())
    }

    fn literal(&mut self, literal: &str) -> Result<()> {
        if !self.rest().starts_with(literal.as_bytes()) {
            return Err(self.error(Problem::Syntax));
        }
        self.at += literal.len();
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
        while let Some(b' ' | b'\n' | b'\r' | b'\t') = self.peek() {
            self.at += 1;
        }
    }

    fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    fn rest(&self) -> &'a [u8] {
        self.text.as_bytes().get(self.at..).unwrap_or_default()
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
        let is_over = at >= self.text.len() && problem == Problem::Syntax;
        Error {
            problem: if is_over { Problem::Unfinished } else { problem },
            at,
        }
    }
}

/// How many bytes at the beginning are neither a quote, nor a backslash, nor a control character.
fn plain_run(bytes: &[u8]) -> usize {
    let mut run = 0;
    // Eight at a time: a lane's top bit is set when it holds one of the three.
    for chunk in bytes.chunks_exact(8) {
        let Ok(chunk) = chunk.try_into() else { break };
        let word = u64::from_le_bytes(chunk);
        let odd = lanes_equal(word, b'"') | lanes_equal(word, b'\\') | lanes_below_space(word);
        if odd != 0 {
            return run + odd.trailing_zeros() as usize / 8;
        }
        run += 8;
    }
    let rest = bytes.get(run..).unwrap_or_default();
    let is_plain = |byte: &&u8| !matches!(byte, b'"' | b'\\' | 0..0x20);
    run + rest.iter().take_while(is_plain).count()
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
