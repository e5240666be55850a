//! Completion, colours and unfinished lines, from the same parser that reads the statements.

use std::sync::{Arc, Mutex, PoisonError};

use reedline::{
    Color, Completer, CompletionResult, Highlighter, Span, StyledText, Suggestion, ValidationResult, Validator,
};

use super::{command, draft::is_unfinished};
use crate::{
    logic::script::{
        Expectation, Keyword, expect_at,
        token::{self, TokenKind},
    },
    model::{Attribute, Instance, Model, TypeDefinition, library::Library},
    words::{ComponentName, NodeName},
};

/// What is there to be named.
#[derive(Clone, Debug, Default)]
pub(super) struct Names {
    pub(super) model: Model,
    pub(super) library: Arc<Library>,
}

/// A name with what it is.
type Named = (String, String);

impl Names {
    /// What may stand at the end of `text`: how many bytes before the end are replaced, and by what.
    pub(super) fn complete(&self, text: &str) -> (usize, Vec<Named>) {
        if text.trim_start().starts_with(':') {
            return self.complete_command(text);
        }
        let completion = expect_at(text, text.len());
        let prefix = &text[completion.replace.clone()];
        // Statements may follow each other on a line, but hardly anybody means that in the middle of one.
        let starts = text[..completion.replace.start]
            .trim_end_matches([' ', '\t'])
            .chars()
            .next_back()
            .is_none_or(|c| c == '\n');
        let expected = completion.expected.iter().filter(|expectation| starts || **expectation != Expectation::Keyword);
        let mut found: Vec<Named> = Vec::new();
        for expectation in expected {
            found.extend(self.of(expectation).into_iter().filter(|(name, _)| name.starts_with(prefix)));
        }
        found.sort();
        found.dedup();
        (completion.replace.len(), found)
    }

    fn complete_command(&self, text: &str) -> (usize, Vec<Named>) {
        let word = text.rsplit(char::is_whitespace).next().unwrap_or_default();
        let candidates: Vec<Named> = if text.trim_start() == word {
            command::names().map(|name| (name, String::new())).collect()
        } else if text.trim_start().starts_with(":help") {
            Keyword::ALL.iter().map(|keyword| (keyword.as_str().to_owned(), keyword.help().to_owned())).collect()
        } else {
            let names = crate::doors::cli::complete::model_names(&self.model);
            names.into_iter().map(|name| (name, String::new())).collect()
        };
        (word.len(), candidates.into_iter().filter(|(name, _)| name.starts_with(word)).collect())
    }

    fn of(&self, expectation: &Expectation) -> Vec<Named> {
        use Expectation as E;
        let model = &self.model;
        match expectation {
            E::Keyword => {
                Keyword::ALL.iter().map(|keyword| (keyword.as_str().to_owned(), keyword.help().to_owned())).collect()
            }
            E::Node => self.nodes(),
            E::Channel => self.channels(),
            E::Group => self.groups(),
            E::Scope => model.scopes.keys().map(|name| (name.to_string(), "scope".to_owned())).collect(),
            E::Instance => [self.nodes(), self.channels(), self.groups()].concat(),
            E::Component(node) => self.components(node),
            E::Child(node) => {
                let host = NodeName::parse(node).ok();
                let hosted = host
                    .iter()
                    .flat_map(|host| model.hosted_by(host).map(|name| (name.to_string(), "node".to_owned())));
                self.components(node).into_iter().chain(hosted).collect()
            }
            E::Port(node, component) => self.ports(node, component),
            E::Attribute(path) => self.attributes(path),
            E::FragmentNode(_) => self.nodes(),
            E::Type => self.types(),
            E::TypeVersion(name) => self.versions(name),
            E::Value(path) => self.values(path),
            E::Sign(sign) => vec![((*sign).to_owned(), String::new())],
            E::NewName | E::UnitVersion(_) | E::Platform(_) | E::Key | E::Address | E::Quoted => Vec::new(),
        }
    }

    fn nodes(&self) -> Vec<Named> {
        self.model.nodes.keys().map(|name| (name.to_string(), "node".to_owned())).collect()
    }

    fn channels(&self) -> Vec<Named> {
        self.model.channels.iter().map(|(name, channel)| (name.to_string(), type_of(&channel.instance))).collect()
    }

    fn groups(&self) -> Vec<Named> {
        self.model.groups.iter().map(|(name, group)| (name.to_string(), type_of(&group.instance))).collect()
    }

    fn components(&self, node: &str) -> Vec<Named> {
        // `*` stands for any node: the components of all of them.
        let of = self.model.nodes.iter().filter(|(name, _)| node == "*" || name.as_str() == node);
        of.flat_map(|(_, node)| {
            node.components.iter().map(|(name, component)| (name.to_string(), type_of(&component.instance)))
        })
        .collect()
    }

    fn ports(&self, node: &str, component: &str) -> Vec<Named> {
        let (Ok(node), Ok(component)) = (NodeName::parse(node), ComponentName::parse(component)) else {
            return Vec::new();
        };
        let Some(component) = self.model.component(&node, &component) else { return Vec::new() };
        let inputs = component.provided.iter().map(|port| (port.to_string(), "input".to_owned()));
        inputs.chain(component.required.iter().map(|port| (port.to_string(), "output".to_owned()))).collect()
    }

    fn instance(&self, path: &[String]) -> Option<&Instance> {
        match path {
            [name] => {
                let node =
                    NodeName::parse(name).ok().and_then(|name| self.model.nodes.get(&name)).map(|node| &node.instance);
                let channel =
                    || self.model.channels.iter().find(|(known, _)| known.as_str() == name).map(|(_, c)| &c.instance);
                let group =
                    || self.model.groups.iter().find(|(known, _)| known.as_str() == name).map(|(_, g)| &g.instance);
                node.or_else(channel).or_else(group)
            }
            [node, component] => {
                let (node, component) = (NodeName::parse(node).ok()?, ComponentName::parse(component).ok()?);
                self.model.component(&node, &component).map(|component| &component.instance)
            }
            _ => None,
        }
    }

    fn definition(&self, path: &[String]) -> Option<&TypeDefinition> {
        self.model.definition(self.instance(path)?).map(|definition| &**definition)
    }

    fn attributes(&self, path: &[String]) -> Vec<Named> {
        let attributes =
            self.definition(path).into_iter().flat_map(|definition| definition.attributes.iter().flatten());
        attributes.map(|attribute| (attribute.name.to_string(), about(attribute))).collect()
    }

    /// The values that an attribute can have, as far as they can be listed; in quotes, as statements want them.
    fn values(&self, path: &[String]) -> Vec<Named> {
        let Some((name, instance)) = path.split_last() else { return Vec::new() };
        let Some(attribute) = self.definition(instance).and_then(|definition| definition.attribute(name)) else {
            return Vec::new();
        };
        let listed = attribute.one_of.iter().chain(&attribute.default);
        listed.filter(|_| !attribute.secret).map(|value| (token::quote(value), about(attribute))).collect()
    }

    fn types(&self) -> Vec<Named> {
        let entries = self.library.iter();
        entries.map(|entry| (entry.definition.id.name.to_string(), entry.definition.kind.to_string())).collect()
    }

    fn versions(&self, name: &str) -> Vec<Named> {
        let bare = name.rsplit('.').next().unwrap_or(name);
        let entries = self.library.iter().filter(|entry| entry.definition.id.name.as_str() == bare);
        entries
            .map(|entry| (entry.definition.id.version.to_string(), entry.definition.id.namespace.to_string()))
            .collect()
    }
}

fn type_of(instance: &Instance) -> String {
    instance.type_ref.as_ref().map(|type_ref| type_ref.name.to_string()).unwrap_or_default()
}

fn about(attribute: &Attribute) -> String {
    attribute.doc.lines().next().unwrap_or_default().to_owned()
}

/// The line editor's helper: shares the names with the session.
#[derive(Clone, Default)]
pub(super) struct Helper(pub(super) Arc<Mutex<Names>>);

impl Completer for Helper {
    fn complete(&mut self, line: &str, pos: usize) -> CompletionResult {
        let (replaced, found) = self.0.lock().unwrap_or_else(PoisonError::into_inner).complete(&line[..pos]);
        let suggestions: Vec<Suggestion> = found
            .into_iter()
            .map(|(value, description)| Suggestion {
                value,
                description: Some(description).filter(|text| !text.is_empty()),
                span: Span::new(pos - replaced, pos),
                ..Suggestion::default()
            })
            .collect();
        CompletionResult::fresh(suggestions)
    }
}

impl Highlighter for Helper {
    fn highlight(&self, line: &str, _cursor: usize) -> StyledText {
        let mut styled = StyledText::new();
        if line.trim_start().starts_with(':') {
            styled.push((Color::Cyan.normal(), line.to_owned()));
            return styled;
        }
        let (mut at, mut starts) = (0, true);
        for token in token::tokens(line) {
            if token.bytes.start > at {
                styled.push((Color::Default.normal(), line[at..token.bytes.start].to_owned()));
            }
            let text = &line[token.bytes.clone()];
            let keyword = token.kind == TokenKind::Word && (starts || token.first_on_line);
            let style = match token.kind {
                TokenKind::Word if keyword && Keyword::of(text).is_some() => Color::Green.bold(),
                TokenKind::Word if keyword => Color::Red.normal(),
                TokenKind::Quoted => Color::Yellow.normal(),
                TokenKind::Unclosed | TokenKind::Stray => Color::Red.normal(),
                TokenKind::Variable | TokenKind::Generated => Color::Purple.normal(),
                TokenKind::Comment => Color::DarkGray.normal(),
                _ => Color::Default.normal(),
            };
            starts = false;
            at = token.bytes.end;
            styled.push((style, text.to_owned()));
        }
        if at < line.len() {
            styled.push((Color::Default.normal(), line[at..].to_owned()));
        }
        styled
    }
}

impl Validator for Helper {
    fn validate(&self, line: &str) -> ValidationResult {
        match !line.trim_start().starts_with(':') && !line.trim().is_empty() && is_unfinished(line) {
            true => ValidationResult::Incomplete,
            false => ValidationResult::Complete,
        }
    }
}
