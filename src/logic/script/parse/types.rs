//! Types with their versions and units.

use super::{Parser, Read};
use crate::logic::script::{
    diagnostic::{Code, Diagnostic},
    expect::Expectation,
    statement::{Place, TypeSpec, Units, Version, Wish, Word},
    token::{TokenKind, unquote},
};

impl Parser<'_> {
    pub(super) fn type_after_colon(&mut self) -> Read<TypeSpec> {
        self.sign(TokenKind::Colon, ":")?;
        self.may_come([Expectation::Type]);
        let first = self.peek().span;
        let mut name = String::new();
        loop {
            let wanted = if name.is_empty() {
                "a type such as `Ticker` or `enact.Ticker/1.0.0`"
            } else {
                "a type's name after the dot"
            };
            let TokenKind::Word = self.peek().kind else { return Err(self.fail(wanted)) };
            let token = self.next();
            name.push_str(self.text_of(&token));
            if !(self.peek().kind == TokenKind::Dot && self.previous().touches(self.peek())) {
                break;
            }
            self.next();
            name.push('.');
            self.may_come([Expectation::Type]);
        }
        let name_place = Place(first.to(self.previous().span));
        let (mut version, mut units) = (Version::Unsaid, Units::Unsaid);
        self.may_come([Expectation::Sign("/")]);
        if self.take(TokenKind::Slash) {
            self.may_come([Expectation::TypeVersion(name.clone())]);
            version = self.type_version()?;
            self.may_come([Expectation::Sign("/")]);
            if self.take(TokenKind::Slash) {
                self.may_come([Expectation::UnitVersion(name.clone())]);
                units = self.units(&name)?;
            }
        }
        let (namespace, name) = match name.rsplit_once('.') {
            Some((namespace, name)) => (Some(namespace.into()), name.into()),
            None => (None, name.into()),
        };
        Ok(TypeSpec { namespace, name, version, units, place: Place(first.to(self.previous().span)), name_place })
    }

    pub(super) fn type_version(&mut self) -> Read<Version> {
        let token = self.peek().clone();
        if token.kind == TokenKind::Variable {
            self.next();
            return Ok(Version::Variable(self.text_of(&token).trim_matches('%').into(), Place(token.span)));
        }
        let bare = self.bare("a version such as `1` or `2.0.0`")?;
        let Word::Name(text) = &bare.word else { return Err(self.fail("a version")) };
        match version_of(text) {
            Some(version) => Ok(version),
            None => {
                let message = format!("`{text}` is no version of a type");
                let diagnostic = Diagnostic::new(Code::BadVersion, bare.place.0, message);
                Err(self.report(diagnostic.help(
                    "a number, numbers with dots, or LATEST; units go into a third part: `/1/{js: '5.3.2-SNAPSHOT'}`",
                )))
            }
        }
    }

    pub(super) fn units(&mut self, type_name: &str) -> Read<Units> {
        if !self.take(TokenKind::Open) {
            return self.wish(false).map(Units::Tag);
        }
        let mut each = Vec::new();
        loop {
            self.may_come([Expectation::Platform(type_name.to_owned()), Expectation::Sign("}")]);
            if self.take(TokenKind::Close) {
                return Ok(Units::Each(each));
            }
            let platform = self.word("a platform such as `js`, or `}`")?;
            self.sign(TokenKind::Colon, ":")?;
            each.push((platform, self.wish(true)?));
            self.may_come([Expectation::Sign(","), Expectation::Sign("}")]);
            if !self.take(TokenKind::Comma) && self.peek().kind != TokenKind::Close {
                return Err(self.fail("`,` or `}`"));
            }
        }
    }

    /// One wish for a unit; a version in quotes only where a platform stands before it.
    pub(super) fn wish(&mut self, exact: bool) -> Read<Wish> {
        self.may_come([Expectation::Sign("RELEASE"), Expectation::Sign("LATEST")]);
        let token = self.peek().clone();
        let text = self.text_of(&token);
        let wish = match token.kind {
            TokenKind::Word if text == "RELEASE" => Wish::Release,
            TokenKind::Word if text == "LATEST" => Wish::Latest,
            TokenKind::Variable => Wish::Variable(text.trim_matches('%').into(), Place(token.span)),
            TokenKind::Quoted if exact => Wish::Exact(unquote(text).into()),
            _ if exact => return Err(self.fail("a version in quotes, RELEASE or LATEST")),
            _ => return Err(self.fail("RELEASE, LATEST or versions by platform such as `{js: '5.3.3'}`")),
        };
        self.next();
        Ok(wish)
    }
}

/// The version a text says, if it says one.
pub(in crate::logic::script) fn version_of(text: &str) -> Option<Version> {
    let number = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
    match text {
        "LATEST" => Some(Version::Latest),
        _ if text.split('.').all(number) => Some(Version::Exact(text.into())),
        _ => None,
    }
}
