//! Script to edits: each statement is looked up in a working copy of the model and applied to it at once.
//!
//! The copy shares its structure with the model, so a statement costs what it changes. An error does not stop the
//! evaluation: what an erroneous statement would have added is excused, so that one mistake is told once.

mod add;
mod finish;
mod names;
mod place;
#[cfg(test)]
mod tests;
mod types;
mod values;
mod wire;

use std::{
    collections::{HashMap, HashSet},
    rc::Rc,
    sync::Arc,
};

use super::{
    diagnostic::{Code, DIAGNOSTICS_MAX, Diagnostic, Span},
    statement::{Script, Statement, Verb},
    variables::Variables,
};
use crate::{
    model::{Binding, Edit, Model, library::Library},
    words::{InstancePath, NodeName},
};

/// The most edits of one script: wildcards multiply, and a wrong script must not eat the machine.
pub const EDITS_MAX: usize = 1_000_000;

/// What a script comes to.
#[derive(Clone, Debug)]
pub struct Evaluation {
    /// What it changes, in order; a statement that changes nothing leaves no edit.
    pub edits: Vec<Edit>,
    /// The model with the edits applied.
    pub model: Model,
    /// Warnings, in order.
    pub warnings: Vec<Diagnostic>,
}

/// Evaluates a script over a model with the types of a library (and those that the model has). Names of `%%variables%%` and identities of components
/// follow from `salt`: offline it is 0, a live change brings its own.
///
/// # Errors
/// All errors (and warnings) in order of execution; then neither model nor variables are changed.
pub fn evaluate(
    script: &Script,
    model: &Model,
    library: &Library,
    variables: &mut Variables,
    salt: u64,
) -> Result<Evaluation, Vec<Diagnostic>> {
    let mut evaluator = Evaluator::new(model, library, variables.clone(), salt);
    for statement in &script.statements {
        // What went wrong is told already.
        let _ = evaluator.statement(statement);
        if evaluator.is_hopeless() {
            break;
        }
    }
    evaluator.finish();
    if evaluator.n_errors > 0 {
        return Err(evaluator.diagnostics);
    }
    *variables = evaluator.variables;
    Ok(Evaluation { edits: evaluator.edits, model: evaluator.model, warnings: evaluator.diagnostics })
}

/// The statement, or this part of it, is given up; why is told, or excused.
struct GivenUp;
type Done<T = ()> = Result<T, GivenUp>;

struct Evaluator<'a> {
    model: Model,
    library: &'a Library,
    variables: Variables,
    salt: u64,
    edits: Vec<Edit>,
    diagnostics: Vec<Diagnostic>,
    n_errors: usize,
    n_warnings: usize,
    /// Where this script added what is there now.
    added: HashMap<InstancePath, Span>,
    /// Instances whose values are to be complete in the end, and where that was decided.
    to_complete: HashMap<InstancePath, Span>,
    /// The same for the fragment of a node.
    fragments_to_complete: HashMap<(InstancePath, NodeName), Span>,
    /// Bindings to check in the end, and where they were made.
    bound: Vec<(Binding, Span)>,
    /// Names and variables that are missing because of an error that is told.
    excused: HashSet<String>,
    /// Types as they were asked for.
    types: HashMap<String, Rc<types::Chosen>>,
    /// The statement at work.
    here: Span,
}

impl<'a> Evaluator<'a> {
    fn new(model: &Model, library: &'a Library, variables: Variables, salt: u64) -> Evaluator<'a> {
        Evaluator {
            model: model.clone(),
            library,
            variables,
            salt,
            edits: Vec::new(),
            diagnostics: Vec::new(),
            n_errors: 0,
            n_warnings: 0,
            added: HashMap::new(),
            to_complete: HashMap::new(),
            fragments_to_complete: HashMap::new(),
            bound: Vec::new(),
            excused: HashSet::new(),
            types: HashMap::new(),
            here: Span::default(),
        }
    }

    fn statement(&mut self, statement: &Statement) -> Done {
        self.here = statement.place.0;
        match &statement.verb {
            Verb::Add(names, spec) => self.add(names, spec),
            Verb::Upgrade(names, spec) => self.upgrade(names, spec),
            Verb::Remove(names) => self.remove(names),
            Verb::Move(names, node) => self.move_to(names, node),
            Verb::Host(names, node) => self.host(names, node),
            Verb::Unhost(names) => self.unhost(names),
            Verb::Attach(names, group) => self.attach(names, group),
            Verb::Detach(names, group) => self.detach(names, group),
            Verb::Set(path, fragment, value) => self.set(path, fragment.as_ref(), Some(value)),
            Verb::Unset(path, fragment) => self.set(path, fragment.as_ref(), None),
            Verb::Bind(port, channel) => self.bind(port, channel),
            Verb::Unbind(port, channel) => self.unbind(port, channel),
            Verb::Start(names) => self.set_started(names, true),
            Verb::Stop(names) => self.set_started(names, false),
            Verb::Network(path, value) => self.network(path, Some(value)),
            Verb::Unnetwork(path) => self.network(path, None),
            Verb::Property(path, value) => self.property(path, Some(value)),
            Verb::Unproperty(path) => self.property(path, None),
            Verb::Meta(path, value) => self.meta(path, Some(value)),
            Verb::Unmeta(path) => self.meta(path, None),
            Verb::Scope(names) => self.scope(names),
            Verb::Unscope(names) => self.unscope(names),
            Verb::Enter(names, scope) => self.enter(names, scope, true),
            Verb::Leave(names, scope) => self.enter(names, scope, false),
            Verb::Deprecated(keyword, _) => {
                let message = format!("`{}` is deprecated and does nothing", keyword.as_str());
                self.warn(Diagnostic::new(Code::Deprecated, self.here, message));
                Ok(())
            }
        }
    }

    /// Makes an edit of the working copy and keeps it.
    fn push(&mut self, edit: Edit) -> Done {
        if self.edits.len() >= EDITS_MAX {
            let message = format!("the script makes more than {EDITS_MAX} edits");
            let diagnostic = Diagnostic::new(Code::TooMuch, self.here, message);
            return Err(self.report_once("more edits".to_owned(), |_| diagnostic));
        }
        if let Err(error) = self.model.apply(std::slice::from_ref(&edit)) {
            return Err(self.report(Diagnostic::new(Code::Refused, self.here, error.to_string())));
        }
        self.edits.push(edit);
        Ok(())
    }

    fn report(&mut self, diagnostic: Diagnostic) -> GivenUp {
        self.warn(diagnostic);
        GivenUp
    }

    /// Keeps a diagnostic, error or warning. Too many warnings are dropped; errors always find their place.
    fn warn(&mut self, diagnostic: Diagnostic) {
        let n_kept = if diagnostic.is_error() { &mut self.n_errors } else { &mut self.n_warnings };
        if *n_kept < DIAGNOSTICS_MAX {
            *n_kept += 1;
            self.diagnostics.push(diagnostic);
        }
    }

    /// Says an error once, however often what it is about is used.
    fn report_once(&mut self, about: String, diagnostic: impl FnOnce(&Self) -> Diagnostic) -> GivenUp {
        if !self.excused.contains(&about) {
            let diagnostic = diagnostic(self);
            self.excused.insert(about);
            self.warn(diagnostic);
        }
        GivenUp
    }

    /// Whether it makes no sense to go on: the script fails, and all that can be told is told.
    fn is_hopeless(&self) -> bool {
        self.n_errors >= DIAGNOSTICS_MAX || (self.n_errors > 0 && self.edits.len() >= EDITS_MAX)
    }
}

/// A text for the model.
fn arc(text: &str) -> Arc<str> {
    text.into()
}
