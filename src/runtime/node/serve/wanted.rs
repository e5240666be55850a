//! From what somebody asks for to a model: scripts are evaluated, edits applied, changes patched, old revisions brought back.

use crate::{
    logic::script::{self, Diagnostic, Severity as ScriptSeverity},
    model::{
        ComponentId, Model, change,
        check::{self, Fault},
        library::Library,
    },
    runtime::node::api::{ApiError, ErrorCode, Problem, Severity, Wanted},
    words::InstancePath,
};

/// A model that is wanted, and what is doubtful about it.
#[derive(Debug)]
pub(super) struct Evaluated {
    /// The model.
    pub(super) model: Model,
    /// Warnings: deprecated statements, and faults that the base had already.
    pub(super) warnings: Vec<Problem>,
}

/// Evaluates what is wanted against a base. `salt` tells the components that it adds from any other; `library` holds the types
/// that scripts may use; `old` gives the model of the revision that is wanted again, if one is.
///
/// # Errors
/// Everything that is wrong, at once. Nothing was changed.
pub(super) fn evaluate(
    wanted: &Wanted,
    base: &Model,
    library: &Library,
    salt: u64,
    old: impl FnOnce() -> Model,
) -> Result<Evaluated, ApiError> {
    let (model, mut warnings) = match wanted {
        Wanted::Script { text, variables, .. } => {
            let mut given = script::Variables::new();
            for (name, value) in variables {
                given.set(name.as_str(), value.as_str());
            }
            run_script(text, &mut given, base, library, salt)?
        }
        Wanted::Model(snapshot) => (with_identities_of(base, snapshot.0.clone()), Vec::new()),
        Wanted::Edits(edits) => {
            let mut model = base.clone();
            model.apply(edits).map_err(|error| ApiError::new(ErrorCode::Invalid, error.to_string()))?;
            (model, Vec::new())
        }
        Wanted::Changes(changes) => {
            let mut model = base.clone();
            change::patch(&mut model, changes);
            (model, Vec::new())
        }
        Wanted::Revision(_) => (with_nodes_of(base, old()), Vec::new()),
    };
    warnings.extend(check_against(base, &model)?);
    Ok(Evaluated { model, warnings })
}

fn run_script(
    text: &str,
    variables: &mut script::Variables,
    base: &Model,
    library: &Library,
    salt: u64,
) -> Result<(Model, Vec<Problem>), ApiError> {
    let (parsed, diagnostics) = script::parse(text);
    if diagnostics.iter().any(Diagnostic::is_error) {
        return Err(wrong_script(&diagnostics));
    }
    let evaluation =
        script::evaluate(&parsed, base, library, variables, salt).map_err(|errors| wrong_script(&errors))?;
    let warnings = diagnostics.iter().chain(&evaluation.warnings).map(problem).collect();
    Ok((evaluation.model, warnings))
}

fn wrong_script(diagnostics: &[Diagnostic]) -> ApiError {
    let n_errors = diagnostics.iter().filter(|diagnostic| diagnostic.is_error()).count();
    let what = format!("the script has {n_errors} error{}", if n_errors == 1 { "" } else { "s" });
    let problems = diagnostics.iter().map(problem).collect();
    ApiError { problems, ..ApiError::new(ErrorCode::Invalid, what) }
}

/// A diagnostic in the words of the API.
pub(super) fn problem(diagnostic: &Diagnostic) -> Problem {
    Problem {
        code: diagnostic.code.as_str().to_owned(),
        severity: match diagnostic.code.severity() {
            ScriptSeverity::Error => Severity::Error,
            ScriptSeverity::Warning => Severity::Warning,
        },
        message: diagnostic.message.clone(),
        help: diagnostic.help.clone().unwrap_or_default(),
        span: Some((diagnostic.span.start as usize, diagnostic.span.end as usize)),
    }
}

/// Refuses what a change made wrong; tells of what is doubtful, or was wrong before.
fn check_against(base: &Model, model: &Model) -> Result<Vec<Problem>, ApiError> {
    let faults = check::check_changes(model, &change::diff(base, model));
    let is_error = |fault: &Fault| fault.severity() == check::Severity::Error;
    if !faults.iter().any(is_error) {
        return Ok(faults.iter().map(|fault| fault_problem(fault, Severity::Warning)).collect());
    }
    let known = check::check(base);
    let (new, rest): (Vec<&Fault>, Vec<&Fault>) =
        faults.iter().partition(|fault| is_error(fault) && !known.contains(fault));
    if new.is_empty() {
        return Ok(rest.into_iter().map(|fault| fault_problem(fault, Severity::Warning)).collect());
    }
    let problems: Vec<Problem> = new.into_iter().map(|fault| fault_problem(fault, Severity::Error)).collect();
    let what = match problems.as_slice() {
        [first, rest @ ..] if !rest.is_empty() => format!("{} (and {} more)", first.message, rest.len()),
        all => all.first().map(|only| only.message.clone()).unwrap_or_default(),
    };
    Err(ApiError { problems, ..ApiError::new(ErrorCode::Invalid, what) })
}

fn fault_problem(fault: &Fault, severity: Severity) -> Problem {
    let (code, message) = (fault.code().to_owned(), fault.to_string());
    Problem { code, severity, message, help: String::new(), span: None }
}

/// A foreign model in which components that the base has too are the same components: moved by nobody, merely said again.
fn with_identities_of(base: &Model, mut model: Model) -> Model {
    let nodes: Vec<_> = model.nodes.iter().map(|(name, node)| (name.clone(), node.clone())).collect();
    for (node_name, mut node) in nodes {
        let mut is_changed = false;
        for (name, component) in node.components.clone() {
            let known = base.component(&node_name, &name).map(|component| component.id);
            let id = known.unwrap_or(component.id);
            let id = if id == ComponentId::default() {
                ComponentId::born(0, &InstancePath::Component(node_name.clone(), name.clone()), 0)
            } else {
                id
            };
            if id != component.id {
                let mut component = component;
                component.to_mut().id = id;
                node.to_mut().components.insert(name, component);
                is_changed = true;
            }
        }
        if is_changed {
            model.nodes.insert(node_name, node);
        }
    }
    model
}

/// An old model brought back keeps the nodes that came since, with their attachments and types: they are machines, not wishes.
fn with_nodes_of(base: &Model, mut model: Model) -> Model {
    for (name, node) in &base.nodes {
        if !model.nodes.contains_key(name) && node.host.is_none() {
            let mut bare = node.clone();
            bare.to_mut().components = Default::default();
            model.nodes.insert(name.clone(), bare);
        }
    }
    for (id, definition) in &base.types {
        model.types.entry(id.clone()).or_insert_with(|| definition.clone());
    }
    for (id, unit) in &base.units {
        model.units.entry(id.clone()).or_insert_with(|| unit.clone());
    }
    model
}
