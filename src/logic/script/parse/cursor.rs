//! The place that is read, and what is told when something else stands there.

use super::{GivenUp, Parser};
use crate::logic::script::{
    diagnostic::{Code, DIAGNOSTICS_MAX, Diagnostic},
    expect::Expectation,
    statement::{Keyword, Place},
    token::{Token, TokenKind},
};

impl<'a> Parser<'a> {
    pub(super) fn peek(&self) -> &Token {
        &self.tokens[self.at]
    }

    pub(super) fn previous(&self) -> &Token {
        &self.tokens[self.at.saturating_sub(1)]
    }

    pub(super) fn next(&mut self) -> Token {
        let token = self.peek().clone();
        self.at = (self.at + 1).min(self.tokens.len() - 1);
        token
    }

    pub(super) fn take(&mut self, kind: TokenKind) -> bool {
        let found = self.peek().kind == kind;
        if found {
            self.next();
        }
        found
    }

    pub(super) fn text_of(&self, token: &Token) -> &'a str {
        &self.text[token.bytes.clone()]
    }

    pub(super) fn at_keyword(&self) -> Option<Keyword> {
        let token = self.peek();
        if token.kind == TokenKind::Word { Keyword::of(self.text_of(token)) } else { None }
    }

    pub(super) fn may_come(&mut self, expectations: impl IntoIterator<Item = Expectation>) {
        if self.tokens[self.at].kind == TokenKind::End
            && let Some(expected) = &mut self.expected
        {
            expected.extend(expectations);
        }
    }

    /// Reports that something else stands here than what was wanted.
    pub(super) fn fail(&mut self, wanted: &str) -> GivenUp {
        let token = self.peek().clone();
        let text = self.text_of(&token);
        // What is missing is missing behind the last word, not in front of a statement many lines below.
        let missing = Place(if self.at > 0 { self.previous().span.after() } else { token.span }).0;
        let diagnostic = match token.kind {
            TokenKind::End => {
                Diagnostic::new(Code::UnexpectedEnd, missing, format!("the script ends where {wanted} is expected"))
            }
            TokenKind::Unclosed => Diagnostic::new(Code::UnclosedString, token.span, "this quote is never closed")
                .help(format!("end the text with {}", &text[..1])),
            TokenKind::Stray => {
                Diagnostic::new(Code::BadCharacter, token.span, format!("expected {wanted}, found {text:?}"))
                    .help(if text == "%" { "a variable is written %name% or %%name%%" } else { "" })
            }
            _ if self.begins_statement() => {
                Diagnostic::new(Code::Unexpected, missing, format!("expected {wanted}, but the next statement begins"))
            }
            TokenKind::Quoted => {
                Diagnostic::new(Code::Unexpected, token.span, format!("expected {wanted}, found a text in quotes"))
            }
            _ => Diagnostic::new(Code::Unexpected, token.span, format!("expected {wanted}, found `{text}`")),
        };
        self.report(diagnostic)
    }

    pub(super) fn report(&mut self, diagnostic: Diagnostic) -> GivenUp {
        if self.diagnostics.len() < DIAGNOSTICS_MAX {
            self.diagnostics.push(diagnostic);
        }
        GivenUp
    }
}
