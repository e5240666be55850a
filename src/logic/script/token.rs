//! Words and signs of a script. The tokens cover the text without gaps but for blanks; nothing is refused here.

use std::ops::Range;

use super::diagnostic::Span;

/// What a token is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum TokenKind {
    /// Letters, digits, `_` and `-`.
    Word,
    /// `%name%`.
    Variable,
    /// `%%name%%`.
    Generated,
    /// A text in quotes.
    Quoted,
    /// A quote that is never closed; ends with its line.
    Unclosed,
    /// `.`
    Dot,
    /// `,`
    Comma,
    /// `:`
    Colon,
    /// `/`
    Slash,
    /// `=`
    Equals,
    /// `*`
    Star,
    /// `{`
    Open,
    /// `}`
    Close,
    /// `// to the end of the line`
    Comment,
    /// Any other character.
    Stray,
    /// The end of the text.
    End,
}

/// A word or a sign with its place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Token {
    /// What it is.
    pub kind: TokenKind,
    /// Where it is, in bytes.
    pub bytes: Range<usize>,
    /// Where it is, in characters.
    pub span: Span,
    /// Whether it is the first on its line.
    pub first_on_line: bool,
}

impl Token {
    /// Whether nothing stands between this token and the next one.
    pub fn touches(&self, next: &Token) -> bool {
        self.bytes.end == next.bytes.start
    }
}

/// Cuts a text into tokens; the last one is always [`TokenKind::End`]. Comments are tokens too.
pub fn tokens(text: &str) -> Vec<Token> {
    let mut cutter = Cutter { text, byte: 0, char: 0, first_on_line: true };
    let mut all = Vec::with_capacity(text.len() / 4 + 1);
    loop {
        cutter.skip_blanks();
        let token = cutter.token();
        let kind = token.kind;
        all.push(token);
        if kind == TokenKind::End {
            return all;
        }
    }
}

/// Whether a character may be in a word.
pub fn is_word(c: char) -> bool {
    c.is_ascii_alphanumeric() || matches!(c, '_' | '-')
}

/// Whether a character may be in the bare value of `network` (KevScript's String2).
pub fn is_bare(c: char) -> bool {
    is_word(c) || matches!(c, '.' | ':' | '%' | '@')
}

/// The text between quotes; `\r\n` becomes `\n`. Within `'…'` a backslash gives the character that follows it, so that any
/// text can be said. Within `"…"` it keeps that character from ending the text and stays where it is: so Kevoree does it
/// (measured, cases js5/set__multiline and java5/set__multiline), and scripts in scripts depend on it.
pub fn unquote(quoted: &str) -> String {
    let drops_backslash = quoted.starts_with('\'');
    let inner = quoted.strip_prefix(['\'', '"']).unwrap_or(quoted);
    let inner = if quoted.len() > 1 { inner.strip_suffix(['\'', '"']).unwrap_or(inner) } else { inner };
    let mut text = String::with_capacity(inner.len());
    let mut chars = inner.chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            '\\' if drops_backslash => text.extend(chars.next()),
            '\r' if chars.peek() == Some(&'\n') => {}
            c => text.push(c),
        }
    }
    text
}

/// A text in quotes: [`unquote`] gives it back.
pub fn quote(text: &str) -> String {
    let mut quoted = String::with_capacity(text.len() + 2);
    quoted.push('\'');
    for c in text.chars() {
        if matches!(c, '\'' | '\\' | '\r') {
            quoted.push('\\');
        }
        quoted.push(c);
    }
    quoted.push('\'');
    quoted
}

struct Cutter<'a> {
    text: &'a str,
    byte: usize,
    char: u32,
    first_on_line: bool,
}

impl Cutter<'_> {
    fn rest(&self) -> &str {
        &self.text[self.byte..]
    }

    fn skip_blanks(&mut self) {
        let rest = &self.text[self.byte..];
        let blanks = &rest[..rest.len() - rest.trim_start_matches(is_blank).len()];
        self.first_on_line |= blanks.contains(['\n', '\r']);
        self.char += count(blanks);
        self.byte += blanks.len();
    }

    fn token(&mut self) -> Token {
        let (kind, length) = self.measure();
        let bytes = self.byte..self.byte + length;
        let span = Span { start: self.char, end: self.char + count(&self.text[bytes.clone()]) };
        let first_on_line = std::mem::take(&mut self.first_on_line);
        (self.byte, self.char) = (bytes.end, span.end);
        Token { kind, bytes, span, first_on_line }
    }

    /// What comes next, and how many bytes it has.
    fn measure(&self) -> (TokenKind, usize) {
        let rest = self.rest();
        let Some(c) = rest.chars().next() else { return (TokenKind::End, 0) };
        let sign = match c {
            '.' => TokenKind::Dot,
            ',' => TokenKind::Comma,
            ':' => TokenKind::Colon,
            '=' => TokenKind::Equals,
            '*' => TokenKind::Star,
            '{' => TokenKind::Open,
            '}' => TokenKind::Close,
            '/' if rest.starts_with("//") => return (TokenKind::Comment, line_length(rest)),
            '/' => TokenKind::Slash,
            '%' => return measure_variable(rest),
            '\'' | '"' => return measure_quoted(rest, c),
            c if is_word(c) => return (TokenKind::Word, word_length(rest)),
            _ => TokenKind::Stray,
        };
        (sign, c.len_utf8())
    }
}

/// A byte order mark counts as blank: files of some editors start with it.
fn is_blank(c: char) -> bool {
    c.is_whitespace() || c == '\u{feff}'
}

fn count(text: &str) -> u32 {
    let n_chars = if text.is_ascii() { text.len() } else { text.chars().count() };
    u32::try_from(n_chars).unwrap_or(u32::MAX)
}

fn word_length(text: &str) -> usize {
    text.find(|c| !is_word(c)).unwrap_or(text.len())
}

fn line_length(text: &str) -> usize {
    text.find(['\n', '\r']).unwrap_or(text.len())
}

fn measure_variable(rest: &str) -> (TokenKind, usize) {
    for (marks, kind) in [("%%", TokenKind::Generated), ("%", TokenKind::Variable)] {
        let Some(name) = rest.strip_prefix(marks) else { continue };
        let length = word_length(name);
        if length > 0 && name[length..].starts_with(marks) {
            return (kind, length + 2 * marks.len());
        }
    }
    (TokenKind::Stray, 1)
}

fn measure_quoted(rest: &str, mark: char) -> (TokenKind, usize) {
    let mut chars = rest.char_indices().skip(1);
    while let Some((at, c)) = chars.next() {
        if c == '\\' {
            chars.next();
        } else if c == mark {
            return (TokenKind::Quoted, at + 1);
        }
    }
    (TokenKind::Unclosed, line_length(rest))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn kinds(text: &str) -> Vec<TokenKind> {
        tokens(text).into_iter().map(|token| token.kind).collect()
    }

    #[test]
    fn signs_words_and_variables_are_told_apart() {
        use TokenKind::{Colon, Comma, Comment, Dot, End, Generated, Stray, Variable, Word};
        assert_eq!(
            kinds("add n-0,%x%.%%y%%: T// c"),
            [Word, Word, Comma, Variable, Dot, Generated, Colon, Word, Comment, End]
        );
        assert_eq!(kinds("%2 %x%%y% %%z% é"), [Stray, Word, Variable, Variable, Stray, Variable, Stray, End]);
    }

    #[test]
    fn an_unclosed_quote_ends_with_its_line() {
        assert_eq!(kinds("'a\nadd"), [TokenKind::Unclosed, TokenKind::Word, TokenKind::End]);
        assert_eq!(kinds(r"'a\'b'"), [TokenKind::Quoted, TokenKind::End]);
        assert_eq!(kinds("'\\"), [TokenKind::Unclosed, TokenKind::End]);
    }

    #[test]
    fn single_quotes_drop_backslashes_and_double_ones_keep_them() {
        assert_eq!(unquote("'a\r\nb\\n\\'\\\\'"), "a\nbn'\\");
        assert_eq!(unquote(r#""a\"b\\""#), r#"a\"b\\"#);
        assert_eq!(kinds(r#""a\"b" 'c'"#), [TokenKind::Quoted, TokenKind::Quoted, TokenKind::End]);
        assert_eq!(unquote("\""), "");
    }

    #[test]
    fn places_count_characters() {
        let all = tokens("'é€'\n x");
        assert_eq!((all[0].span, all[0].bytes.clone()), (Span { start: 0, end: 4 }, 0..7));
        assert_eq!((all[1].span, all[1].first_on_line), (Span { start: 6, end: 7 }, true));
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(256))]

        #[test]
        fn a_quoted_text_is_read_as_it_was(text in "\\PC*|[\\r\\n\\\\'\"a]*") {
            let quoted = quote(&text);
            prop_assert_eq!(kinds(&quoted), [TokenKind::Quoted, TokenKind::End]);
            prop_assert_eq!(unquote(&quoted), text);
        }

        #[test]
        fn tokens_lie_in_order_and_between_them_are_blanks(text in any::<String>()) {
            let mut at = 0;
            for token in tokens(&text) {
                prop_assert!(text[at..token.bytes.start].chars().all(is_blank));
                prop_assert_eq!(token.span.bytes(&text), token.bytes.clone());
                at = token.bytes.end;
            }
            prop_assert_eq!(at, text.len());
        }
    }
}
