//! The draft: statements that were checked against the model but not applied. A plain value.

use std::sync::Arc;

use super::assist::Names;
use crate::{
    doors::cli::render::types,
    logic::script::{self, Diagnostic, Variables},
    model::{
        Model,
        library::{Entry, Library},
    },
    runtime::node::api::{OfferedType, Problem, Revised, Revision},
};

/// Whether a text ends in the middle of a statement, so that more lines are wanted.
pub(super) fn is_unfinished(text: &str) -> bool {
    script::is_unfinished(text)
}

/// Statements over a model.
#[derive(Clone, Debug)]
pub(super) struct Draft {
    base: Revision,
    before: Model,
    after: Model,
    library: Arc<Library>,
    types: Arc<[OfferedType]>,
    statements: Vec<String>,
    /// The newest revision that the user was told of.
    heard_of: Option<Revision>,
}

impl Draft {
    /// An empty draft on a revision, with the types that the nodes offer.
    pub(super) fn new(revised: Revised, types: &[OfferedType]) -> Draft {
        let mut library = Library::of(&revised.model.0);
        for offer in types {
            let units = offer.units.iter().map(|unit| (**unit).clone()).collect();
            library.add(Entry::new((*offer.definition).clone(), units));
        }
        let model = revised.model.0;
        Draft {
            base: revised.revision,
            before: model.clone(),
            after: model,
            library: Arc::new(library),
            types: types.into(),
            statements: Vec::new(),
            heard_of: None,
        }
    }

    /// The revision that it stands on.
    pub(super) fn base(&self) -> &Revision {
        &self.base
    }

    /// The model of that revision.
    pub(super) fn before(&self) -> &Model {
        &self.before
    }

    /// The model with the statements.
    pub(super) fn after(&self) -> &Model {
        &self.after
    }

    pub(super) fn is_empty(&self) -> bool {
        self.statements.is_empty()
    }

    pub(super) fn len(&self) -> usize {
        self.statements.len()
    }

    pub(super) fn statements(&self) -> impl Iterator<Item = &str> {
        self.statements.iter().map(String::as_str)
    }

    /// All statements as one script.
    pub(super) fn script(&self) -> String {
        self.statements.join("\n")
    }

    /// Adds statements, all or none; warnings come back.
    pub(super) fn add(&mut self, text: &str) -> Result<Vec<Problem>, Vec<Problem>> {
        let (model, warnings) = self.evaluate(&self.after, text)?;
        self.after = model;
        self.statements.push(text.trim().to_owned());
        Ok(warnings)
    }

    /// Takes the last statements back.
    pub(super) fn undo(&mut self) -> Option<String> {
        let last = self.statements.pop()?;
        let mut model = self.before.clone();
        for statement in &self.statements {
            // It was evaluated on this very model before.
            if let Ok((next, _)) = self.evaluate(&model, statement) {
                model = next;
            }
        }
        self.after = model;
        Some(last)
    }

    /// Puts the statements onto another revision. If one does not fit, nothing changes and it comes back with what is wrong.
    pub(super) fn rebase(&mut self, revised: Revised) -> Result<(), (String, Vec<Problem>)> {
        let mut fresh = Draft::new(revised, &self.types);
        for statement in &self.statements {
            fresh.add(statement).map_err(|wrong| (statement.clone(), wrong))?;
        }
        *self = fresh;
        Ok(())
    }

    /// Whether this revision is news to the user.
    pub(super) fn heard_of(&mut self, newest: &Revision) -> bool {
        let news = self.heard_of.as_ref() != Some(newest);
        self.heard_of = Some(newest.clone());
        news
    }

    /// What completion offers.
    pub(super) fn names(&self) -> Names {
        Names { model: self.after.clone(), library: Arc::clone(&self.library) }
    }

    /// All about a type, if there is one of this name.
    pub(super) fn type_text(&self, name: &str) -> Option<String> {
        let offer = self.types.iter().rev().find(|offer| offer.definition.id.name.as_str() == name)?;
        Some(types::one(&types::Offer { definition: &offer.definition, nodes: &offer.nodes }))
    }

    fn evaluate(&self, model: &Model, text: &str) -> Result<(Model, Vec<Problem>), Vec<Problem>> {
        let problems = |all: Vec<Diagnostic>| all.iter().map(Problem::from).collect::<Vec<_>>();
        let (parsed, diagnostics) = script::parse(text);
        if diagnostics.iter().any(Diagnostic::is_error) {
            return Err(problems(diagnostics));
        }
        // Identities and generated names are the node's to choose; here they only have to differ from statement to statement.
        let salt = self.statements.len() as u64 + 1;
        match script::evaluate(&parsed, model, &self.library, &mut Variables::new(), salt) {
            Ok(evaluation) => {
                Ok((evaluation.model, problems(diagnostics.into_iter().chain(evaluation.warnings).collect())))
            }
            Err(wrong) => Err(problems(wrong)),
        }
    }
}
