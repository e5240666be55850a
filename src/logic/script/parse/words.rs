//! Lists, paths and values.

use std::sync::Arc;

use super::{Parser, Read};
use crate::logic::script::{
    diagnostic::{Code, Diagnostic},
    expect::{Expectation, Role},
    statement::{Part, Path, Place, Text, Word},
    token::{TokenKind, is_bare, unquote},
};

impl Parser<'_> {
    pub(super) fn paths(&mut self, role: Role) -> Read<Vec<Path>> {
        let mut paths = vec![self.path(role)?];
        self.may_come([Expectation::Sign(",")]);
        while self.take(TokenKind::Comma) {
            paths.push(self.path(role)?);
            self.may_come([Expectation::Sign(",")]);
        }
        Ok(paths)
    }

    pub(super) fn path(&mut self, role: Role) -> Read<Path> {
        let mut parts: Vec<Part> = Vec::new();
        loop {
            self.may_come(role.expects(&parts));
            parts.push(self.part(role, !parts.is_empty())?);
            if !(self.peek().kind == TokenKind::Dot && self.previous().touches(self.peek())) {
                break;
            }
            self.next();
        }
        let place = Place(parts[0].span().to(parts[parts.len() - 1].span()));
        Ok(Path { parts, place })
    }

    pub(super) fn part(&mut self, role: Role, after_dot: bool) -> Read<Part> {
        let token = self.peek().clone();
        if after_dot && token.kind != TokenKind::End && !self.previous().touches(&token) {
            return Err(self.fail("a name right after the dot"));
        }
        let text = self.text_of(&token);
        let word = match token.kind {
            TokenKind::Star => Word::Any,
            TokenKind::Word if !self.begins_statement() => Word::Name(text.into()),
            TokenKind::Variable => Word::Variable(text.trim_matches('%').into()),
            TokenKind::Generated => Word::Generated(text.trim_matches('%').into()),
            TokenKind::Quoted if after_dot => Word::Quoted(unquote(text).into()),
            _ if after_dot => return Err(self.fail("a name after the dot")),
            _ => return Err(self.fail(role.form())),
        };
        self.next();
        Ok(Part { word, place: Place(token.span) })
    }

    pub(super) fn value(&mut self, expectation: Expectation) -> Read<Text> {
        self.may_come([expectation]);
        let token = self.peek().clone();
        let text = self.text_of(&token);
        let word = match token.kind {
            TokenKind::Quoted => Word::Quoted(unquote(text).into()),
            TokenKind::Variable => Word::Variable(text.trim_matches('%').into()),
            TokenKind::Generated => Word::Generated(text.trim_matches('%').into()),
            TokenKind::Word if !self.begins_statement() => {
                let bare = self.bare("a value in quotes")?;
                let Word::Name(text) = &bare.word else { return Ok(bare) };
                let message = format!("a value stands in quotes, found `{text}`");
                let diagnostic = Diagnostic::new(Code::Unexpected, bare.place.0, message);
                self.report(diagnostic.help(format!("write '{text}'")));
                // What is meant is clear: the statement goes on.
                return Ok(bare);
            }
            _ => return Err(self.fail("a value in quotes")),
        };
        self.next();
        Ok(Text { word, place: Place(token.span) })
    }

    pub(super) fn address(&mut self) -> Read<Text> {
        self.may_come([Expectation::Address]);
        match self.peek().kind {
            TokenKind::Quoted | TokenKind::Variable | TokenKind::Generated => self.value(Expectation::Address),
            _ => self.bare("an address such as `192.168.0.1`"),
        }
    }

    /// Letters, digits and `. : % @ _ -` in one piece, whatever tokens they were cut into.
    pub(super) fn bare(&mut self, wanted: &'static str) -> Read<Text> {
        let token = self.peek().clone();
        let rest = &self.text[token.bytes.start..];
        let length = rest.find(|c| !is_bare(c)).unwrap_or(rest.len());
        let end = token.bytes.start + length;
        if length == 0 || self.begins_statement() {
            return Err(self.fail(wanted));
        }
        let mut last = token.span;
        while self.peek().bytes.start < end {
            last = self.next().span;
        }
        Ok(Text { word: Word::Name(rest[..length].into()), place: Place(token.span.to(last)) })
    }

    pub(super) fn word(&mut self, wanted: &'static str) -> Read<Arc<str>> {
        self.may_come([Expectation::Key]);
        match self.peek().kind {
            TokenKind::Word => {
                let token = self.next();
                Ok(self.text_of(&token).into())
            }
            _ => Err(self.fail(wanted)),
        }
    }

    pub(super) fn sign(&mut self, kind: TokenKind, sign: &'static str) -> Read<()> {
        self.may_come([Expectation::Sign(sign)]);
        if self.take(kind) { Ok(()) } else { Err(self.fail(&format!("`{sign}`"))) }
    }
}
