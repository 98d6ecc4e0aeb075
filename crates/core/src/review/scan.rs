//! JSON passed over: strictly, and many bytes at once.

use std::fmt;

use super::familiar::Familiar;
use super::marks::Marks;

/// The text is no JSON, or JSON that is not passed over here. Which of the two, whoever has the time finds out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct GivenUp;

impl fmt::Display for GivenUp {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("not read")
    }
}

impl std::error::Error for GivenUp {}

/// A text of JSON and how far it has been read.
///
/// White space is nowhere but in strings and behind the end: what kube-apiserver writes has no other.
#[derive(Clone, Copy, Debug)]
pub(super) struct Scan<'a> {
    text: &'a str,
    at: usize,
    /// How many arrays and objects may still be opened within each other.
    depth_left: u32,
    marks: Marks,
    familiar: Familiar<'a>,
}

/// How many arrays and objects within each other are passed over. [`Scan::value`] recurs as often.
const DEEPEST: u32 = 64;

impl<'a> Scan<'a> {
    /// From the front of `text`, in which nothing may lie deeper than `max_depth`.
    pub(super) fn new(text: &'a str, max_depth: usize) -> Result<Self, GivenUp> {
        let text = text.trim_end_matches([' ', '\t', '\r', '\n']);
        // No control character may stand anywhere, as white space is not wanted and strings have none.
        let lowest = text.bytes().fold(u8::MAX, |lowest, byte| lowest.min(byte));
        if lowest < b' ' {
            return Err(GivenUp);
        }
        Ok(Scan {
            text,
            at: 0,
            depth_left: u32::try_from(max_depth).map_or(DEEPEST, |depth| depth.min(DEEPEST)),
            marks: Marks::of(text.as_bytes(), 0),
            familiar: Familiar::default(),
        })
    }

    /// The next byte, without taking it.
    #[inline]
    pub(super) fn peek(&self) -> Result<u8, GivenUp> {
        self.text.as_bytes().get(self.at).copied().ok_or(GivenUp)
    }

    /// Takes the byte that was peeked at.
    #[inline]
    pub(super) fn take(&mut self) {
        self.at += 1;
    }

    /// Takes `byte`, which must come next.
    #[inline]
    pub(super) fn expect(&mut self, byte: u8) -> Result<(), GivenUp> {
        if self.peek()? != byte {
            return Err(GivenUp);
        }
        self.take();
        Ok(())
    }

    /// Takes `word`, which must come next.
    #[inline]
    pub(super) fn word(&mut self, word: &str) -> Result<(), GivenUp> {
        let rest = self.text.get(self.at..).ok_or(GivenUp)?;
        if !rest.starts_with(word) {
            return Err(GivenUp);
        }
        self.at += word.len();
        Ok(())
    }

    /// Nothing may follow.
    pub(super) fn end(&self) -> Result<(), GivenUp> {
        match self.at == self.text.len() {
            true => Ok(()),
            false => Err(GivenUp),
        }
    }

    /// Goes one container deeper.
    #[inline]
    pub(super) fn descend(&mut self) -> Result<(), GivenUp> {
        self.depth_left = self.depth_left.checked_sub(1).ok_or(GivenUp)?;
        Ok(())
    }

    /// Comes back out of a container.
    #[inline]
    pub(super) fn ascend(&mut self) {
        self.depth_left += 1;
    }

    /// Takes a string that has no escapes.
    #[inline]
    pub(super) fn string(&mut self) -> Result<&'a str, GivenUp> {
        self.expect(b'"')?;
        let start = self.at;
        self.plain();
        let string = self.text.get(start..self.at).ok_or(GivenUp)?;
        self.expect(b'"')?;
        Ok(string)
    }

    /// Takes a value of any kind, and gives back its text.
    pub(super) fn raw(&mut self) -> Result<&'a str, GivenUp> {
        let start = self.at;
        self.value()?;
        self.text.get(start..self.at).ok_or(GivenUp)
    }

    /// Passes over a value of any kind.
    pub(super) fn value(&mut self) -> Result<(), GivenUp> {
        match self.peek()? {
            b'"' => {
                self.take();
                self.string_rest()
            }
            b'{' => {
                self.take();
                self.object()
            }
            b'[' => {
                self.take();
                self.array()
            }
            b't' => self.word("true"),
            b'f' => self.word("false"),
            b'n' => self.word("null"),
            _ => self.number(),
        }
    }

    /// Passes over an object behind its first brace. Empty ones are many: every managed field ends in one.
    #[inline]
    fn object(&mut self) -> Result<(), GivenUp> {
        match self.peek()? {
            b'"' => {
                self.take();
                self.members()
            }
            b'}' => {
                self.take();
                // It lies as deep as one with members.
                self.descend()?;
                self.ascend();
                Ok(())
            }
            _ => Err(GivenUp),
        }
    }

    /// Passes over the members of an object, behind the first quote of the first key, and over its last brace.
    fn members(&mut self) -> Result<(), GivenUp> {
        self.descend()?;
        loop {
            self.string_rest()?;
            // Two bytes at once, where most pairs are one of a few.
            match self.two() {
                [b':', b'"'] => {
                    self.at += 2;
                    self.string_rest()?;
                }
                [b':', b'{'] => {
                    self.at += 2;
                    self.object()?;
                }
                [b':', _] => {
                    self.take();
                    self.value()?;
                }
                _ => return Err(GivenUp),
            }
            match self.two() {
                [b',', b'"'] => self.at += 2,
                [b'}', _] => {
                    self.take();
                    self.ascend();
                    return Ok(());
                }
                _ => return Err(GivenUp),
            }
        }
    }

    /// Passes over an array behind its first bracket.
    fn array(&mut self) -> Result<(), GivenUp> {
        self.descend()?;
        if self.peek()? == b']' {
            self.take();
            self.ascend();
            return Ok(());
        }
        loop {
            self.element()?;
            let next = self.peek()?;
            self.take();
            match next {
                b',' => {}
                b']' => {
                    self.ascend();
                    return Ok(());
                }
                _ => return Err(GivenUp),
            }
        }
    }

    /// Passes over an element of an array, without a second look at an object that is like another.
    fn element(&mut self) -> Result<(), GivenUp> {
        if self.peek()? != b'{' {
            return self.value();
        }
        let start = self.at;
        let rest = self.text.get(start..).ok_or(GivenUp)?;
        if let Some(length) = self.familiar.length(rest, self.depth_left) {
            self.at += length;
            return Ok(());
        }
        self.value()?;
        let object = self.text.get(start..self.at).ok_or(GivenUp)?;
        self.familiar.remember(object, self.depth_left);
        Ok(())
    }

    /// The next two bytes, with zeros for what lies behind the end.
    #[inline]
    fn two(&self) -> [u8; 2] {
        let rest = self.text.as_bytes().get(self.at..).unwrap_or_default();
        match rest.first_chunk() {
            Some(two) => *two,
            None => [rest.first().copied().unwrap_or_default(), 0],
        }
    }

    /// Passes over a string behind its first quote.
    #[inline(always)]
    fn string_rest(&mut self) -> Result<(), GivenUp> {
        loop {
            self.plain();
            match self.peek()? {
                b'"' => {
                    self.take();
                    return Ok(());
                }
                _ => self.escape()?,
            }
        }
    }

    /// Passes over what means itself in a string, up to a quote, a backslash or the end.
    #[inline(always)]
    fn plain(&mut self) {
        self.at = self.marks.next(self.text.as_bytes(), self.at);
    }

    fn escape(&mut self) -> Result<(), GivenUp> {
        self.expect(b'\\')?;
        match self.peek()? {
            b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't' => self.take(),
            b'u' => {
                self.take();
                for _ in 0..4 {
                    match self.peek()? {
                        byte if byte.is_ascii_hexdigit() => self.take(),
                        _ => return Err(GivenUp),
                    }
                }
            }
            _ => return Err(GivenUp),
        }
        Ok(())
    }

    fn number(&mut self) -> Result<(), GivenUp> {
        let next_is =
            |scan: &Self, bytes: &[u8]| scan.peek().is_ok_and(|byte| bytes.contains(&byte));
        if next_is(self, b"-") {
            self.take();
        }
        match next_is(self, b"0") {
            true => self.take(),
            false => self.digits()?,
        }
        if next_is(self, b".") {
            self.take();
            self.digits()?;
        }
        if next_is(self, b"eE") {
            self.take();
            if next_is(self, b"+-") {
                self.take();
            }
            self.digits()?;
        }
        Ok(())
    }

    /// Passes over digits, of which there must be one.
    fn digits(&mut self) -> Result<(), GivenUp> {
        let start = self.at;
        while self.peek().is_ok_and(|byte| byte.is_ascii_digit()) {
            self.take();
        }
        match self.at == start {
            true => Err(GivenUp),
            false => Ok(()),
        }
    }
}
