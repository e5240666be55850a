//! Plans a person can read: for each script of `tests/golden/plans` what node `n0` has to do when it comes after `base.kevs`.
//!
//! The expected plan stands beside the script. `ENACT_BLESS=1 cargo test --test plans` writes what is planned now: read the
//! difference before you keep it.

use std::{env, fmt::Write, fs, path::Path, sync::Arc};

use enact::{
    logic::{
        plan::{Plan, plan},
        script::{self, Variables},
    },
    model::{
        Attribute, DataType, DeployUnit, Kind, Model, PortDefinition, TypeDefinition,
        library::{Entry, Library},
    },
    words::{AttributeName, NodeName, PortName, TypeRef, UnitRef},
};

fn attribute(name: &str, datatype: DataType, default: &str) -> Attribute {
    Attribute {
        name: AttributeName::parse(name).unwrap(),
        datatype,
        optional: false,
        state: false,
        fragment: name == "zone",
        default: Some(default.into()),
        min: None,
        max: None,
        one_of: Vec::new(),
        secret: name == "token",
        doc: "".into(),
    }
}

fn port(name: &str, message: &str) -> PortDefinition {
    PortDefinition {
        name: PortName::parse(name).unwrap(),
        optional: true,
        no_dependency: name == "hint",
        message: message.into(),
        schema: u64::from(message != "Value"),
        doc: "".into(),
        port_type: None,
    }
}

fn entry(id: &str, kind: Kind, attributes: Vec<Attribute>, provided: &[&str], required: &[&str]) -> Entry {
    let id: TypeRef = id.parse().unwrap();
    let unit = UnitRef {
        namespace: id.namespace.clone(),
        name: format!("unit-{}", id.name).into(),
        version: id.version.clone(),
        hashcode: "".into(),
    };
    let filters = [(Arc::from("platform"), Arc::from("rust"))].into_iter().collect();
    let unit = DeployUnit { id: unit, url: "".into(), filters, requires: Vec::new() };
    let ports = |names: &[&str]| names.iter().map(|name| port(name, "u64")).collect();
    let definition = TypeDefinition {
        id,
        kind,
        is_abstract: false,
        units: Vec::new(),
        super_types: Vec::new(),
        attributes: Some(attributes),
        provided: ports(provided),
        required: ports(required),
        metadata: Default::default(),
    };
    Entry::new(definition, vec![unit])
}

fn library() -> Library {
    let mut library = Library::default();
    let period = || attribute("period", DataType::Duration, "3s");
    library.add(entry("enact.Box/1", Kind::Node, vec![attribute("level", DataType::String, "info")], &[], &[]));
    library.add(entry("enact.Ticker/1", Kind::Component, vec![period()], &[], &["tick"]));
    library.add(entry("enact.Ticker/2", Kind::Component, vec![period()], &[], &["tick"]));
    let relay = vec![attribute("token", DataType::String, "none")];
    library.add(entry("enact.Relay/1", Kind::Component, relay, &["input", "hint"], &["out"]));
    library.add(entry("enact.Printer/1", Kind::Component, Vec::new(), &["input"], &[]));
    library.add(entry("enact.Wire/1", Kind::Channel, vec![attribute("size", DataType::Int, "10")], &[], &[]));
    library.add(entry("enact.Crowd/1", Kind::Group, vec![attribute("zone", DataType::String, "a")], &[], &[]));
    library
}

fn after(model: &Model, path: &Path) -> Model {
    let (script, diagnostics) = script::parse(&fs::read_to_string(path).unwrap());
    assert!(diagnostics.is_empty(), "{}: {diagnostics:?}", path.display());
    match script::evaluate(&script, model, &library(), &mut Variables::new(), 0) {
        Ok(evaluation) => evaluation.model,
        Err(diagnostics) => panic!("{}: {diagnostics:#?}", path.display()),
    }
}

fn told(plan: &Plan, wanted: &Model) -> String {
    let mut text = String::new();
    for line in plan.lines(wanted) {
        let line = format!("{:>3} {:<12} {:<24} {}", line.mark, line.who, line.what, line.note);
        writeln!(text, "{}", line.trim_end()).unwrap();
    }
    writeln!(text, "Plan: {}.\n", plan.summary()).unwrap();
    for (place, step) in plan.steps.iter().enumerate() {
        let waits = plan.waits.iter().filter(|(_, then)| *then == place as u32);
        let mut waits: Vec<u32> = waits.map(|(first, _)| *first).collect();
        waits.sort_unstable();
        let waits: Vec<String> = waits.iter().map(u32::to_string).collect();
        let waits = if waits.is_empty() { String::new() } else { format!("   after {}", waits.join(", ")) };
        writeln!(text, "{place:>2} {step}{waits}").unwrap();
    }
    text
}

#[test]
fn every_script_has_the_plan_that_stands_beside_it() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/plans");
    let base = after(&Model::default(), &folder.join("base.kevs"));
    let node = NodeName::parse("n0").unwrap();
    let mut scripts: Vec<_> = fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    scripts.retain(|path| path.extension().is_some_and(|ending| ending == "kevs"));
    scripts.sort();
    assert!(scripts.len() > 5, "{scripts:?}");
    for path in scripts {
        let is_base = path.ends_with("base.kevs");
        let (from, to) = if is_base { (Model::default(), base.clone()) } else { (base.clone(), after(&base, &path)) };
        let plan = plan(&from, &to, &node);
        let found = told(&plan, &to);
        let beside = path.with_extension("plan");
        if env::var_os("ENACT_BLESS").is_some() {
            fs::write(&beside, &found).unwrap();
        }
        let expected = fs::read_to_string(&beside).unwrap_or_default();
        assert_eq!(found, expected, "{}", path.display());
    }
}
