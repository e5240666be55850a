//! What a script does, and what it is told.

use proptest::{prelude::*, sample::select};

use crate::{
    logic::script::{
        Code, Variables, evaluate, parse, print, print_edits,
        testing::{DEMO, library, made, run_on, told},
    },
    model::{Model, change, library::Library},
    words::{ChannelName, ComponentName, GroupName, InstancePath, NodeName},
};

fn node(text: &str) -> NodeName {
    NodeName::parse(text).unwrap()
}

fn value(model: &Model, node: &str, component: &str, attribute: &str) -> Option<String> {
    let path = InstancePath::Component(self::node(node), component.parse().unwrap());
    model.instance(&path)?.get(attribute).map(str::to_owned)
}

/// What a script is told after the demo: the codes, and the text they are about.
fn told_after(text: &str) -> Vec<(Code, String)> {
    told(&format!("{DEMO}{text}"))
}

fn one(code: Code, about: &str) -> Vec<(Code, String)> {
    vec![(code, about.to_owned())]
}

#[test]
fn every_row_of_kevoree_5_0_9s_accidents_is_done_right() {
    // move a node under a node; move a hosted node
    let model = made("add a, b, c : EnactNode add a.k : EnactNode move c b move a.k b");
    assert_eq!(model.hosted_by(&node("b")).map(NodeName::as_str).collect::<Vec<_>>(), ["c", "k"]);
    // a wildcard for fragments means the attached nodes
    let model = made(&format!("{DEMO} add idle : EnactNode set sync.port/* = '1'"));
    let sync = &model.groups[&GroupName::parse("sync").unwrap()].instance;
    assert_eq!(sync.fragments.keys().map(NodeName::as_str).collect::<Vec<_>>(), ["node1", "node2"]);
    assert!(sync.fragments.values().all(|fragment| fragment.get("port") == Some("1")));
    // a value is all number or none
    let clock = "add n : JavascriptNode add n.t : Clock";
    assert_eq!(told(&format!("{clock} set n.t.period = '12abc'")), one(Code::WrongValue, "'12abc'"));
    // a variable is one name
    let mut variables: Variables = [("n", "a.b"), ("e", "")].into_iter().collect();
    let run = |text: &str, variables: &mut Variables| {
        evaluate(&parse(text).0, &Model::default(), &library(), variables, 0).map_err(|told| told[0].clone())
    };
    assert_eq!(run("add %n% : EnactNode", &mut variables).unwrap_err().code, Code::BadName);
    let empty = run("add %e% : EnactNode", &mut variables).unwrap_err();
    assert!(empty.code == Code::MissingVariable && empty.message.contains("empty"));
    // a keyword needs a blank; a line may have two statements
    assert_eq!(told("addn0: EnactNode"), one(Code::UnknownStatement, "addn0"));
    assert_eq!(made("add a : EnactNode add b : EnactNode").nodes.len(), 2);
    // what is not there cannot be removed
    assert_eq!(told_after("remove node1.zz"), one(Code::UnknownName, "zz"));
    assert_eq!(told_after("remove zz"), one(Code::UnknownName, "zz"));
    // an address may be generated, also when the caller gave no variables at all
    let model = made("add n : EnactNode network n.lan.ip %%ip%%");
    assert!(!model.nodes[&node("n")].networks["lan"]["ip"].contains('%'));
    // started is no attribute
    assert_eq!(told_after("set node1.ticker.started = 'false'"), one(Code::UnknownAttribute, "started"));
    // what is so already stays so
    let again = "attach node1 sync bind node1.ticker.tick ticks detach node1 sync detach node1 sync
        unbind node1.ticker.tick ticks unbind node1.ticker.tick ticks";
    assert_eq!(told_after(again), []);
    // a platform that is missing fails the whole add
    assert_eq!(
        told("add n : JavascriptNode/1/{js: '5.4.0', java: '1'}"),
        one(Code::NoUnit, "JavascriptNode/1/{js: '5.4.0', java: '1'}")
    );
    // a version that is not there
    assert_eq!(told("add n : JavascriptNode/42"), one(Code::UnknownType, "JavascriptNode/42"));
    assert_eq!(made("add n : JavascriptNode/1/{}").nodes.len(), 1);
}

#[test]
fn a_text_of_any_length_is_one_value() {
    let long = "line\n".repeat(20_000);
    let model = made(&format!("add n : JavascriptNode set n.logLevel = \"{long}\""));
    assert_eq!(model.nodes[&node("n")].instance.get("logLevel"), Some(long.as_str()));
}

#[test]
fn twenty_thousand_statements_are_read_and_carried_out() {
    let mut text = "add n : EnactNode add c : Broadcast\n".to_owned();
    for nth in 0..1000 {
        text += &format!("add n.t{nth} : Ticker/1.0.0\nset n.t{nth}.period = '{}ms'\nbind n.t{nth}.tick c\n", nth + 10);
    }
    text += &"set n.t7.down = 'true'\nset n.t7.down = 'false'\n".repeat(8_500);
    let model = made(&text);
    assert_eq!((model.bindings.len(), model.nodes[&node("n")].components.len()), (1000, 1000));
}

#[test]
fn types_are_found_without_a_namespace_and_without_a_version() {
    let id = |spec: &str| {
        let model = made(&format!("add n : EnactNode add j : JavascriptNode add n.t : {spec}"));
        let path = InstancePath::Component(node("n"), "t".parse().unwrap());
        model.instance(&path).unwrap().type_ref.clone().unwrap().to_string()
    };
    assert_eq!(id("Ticker"), "enact.Ticker/3");
    assert_eq!(id("Ticker/LATEST/RELEASE"), "enact.Ticker/3");
    assert_eq!(id("enact.Ticker/1.0.0"), "enact.Ticker/1.0.0");
    assert_eq!(id("a.Twin"), "a.Twin/1");
    assert_eq!(told("add n : EnactNode add n.t : Twin"), one(Code::Ambiguous, "Twin"));
    assert_eq!(told("add n : EnactNode add n.t : Base"), one(Code::AbstractType, "Base"));
    assert_eq!(told("add n : EnactNode add n.t : Clock"), one(Code::WrongPlatform, "n.t"));
    let help = run_on(&Model::default(), "add n : EnactNod").unwrap_err()[0].help.clone();
    assert_eq!(help.as_deref(), Some("did you mean `EnactNode`?"));
}

#[test]
fn units_are_chosen_by_tag_or_by_platform() {
    let units = |spec: &str| {
        let model = made(&format!("add n : JavascriptNode add n.t : {spec}"));
        let definition = model.types.values().find(|found| found.id.name.as_str() == "Clock").unwrap();
        definition.units.iter().map(|unit| unit.version.to_string()).collect::<Vec<_>>()
    };
    assert_eq!(units("Clock"), ["5.4.0", "5.3.3"]);
    assert_eq!(units("Clock/1/LATEST"), ["5.4.0", "5.4.0-beta.0"]);
    assert_eq!(units("Clock/1/{js: '5.4.0-beta.0'}"), ["5.4.0-beta.0"]);
}

#[test]
fn values_are_checked_against_their_attribute() {
    for (statement, code, about) in [
        ("set node1.ticker.perod = '1s'", Code::UnknownAttribute, "perod"),
        ("set node1.ticker.period = 'soon'", Code::WrongValue, "'soon'"),
        ("set node1.ticker.period = '1ms'", Code::OutOfRange, "'1ms'"),
        ("set node1.ticker.period = ''", Code::WrongValue, "''"),
        ("set node1.ticker.* = '1s'", Code::BadPath, "*"),
        ("set sync.port = '1'", Code::WrongFragment, "port"),
        ("set ticks.delay/node1 = '1'", Code::WrongFragment, "delay"),
        ("add x : EnactNode set sync.port/x = '1'", Code::WrongFragment, "x"),
        ("add x : EnactNode set ticks.port/x = '1'", Code::WrongFragment, "x"),
        ("set sync.port/zz = '1'", Code::UnknownName, "zz"),
        ("add node1.s : Store", Code::MissingValue, "node1.s"),
        ("set node1.ticker = 'x'", Code::UnknownAttribute, "ticker"),
        ("set ticker = 'x'", Code::BadPath, "ticker"),
    ] {
        assert_eq!(told_after(statement), one(code, about), "{statement}");
    }
    let model = made(&format!("{DEMO} set ticks.port/* = '7' set *.ticker.period = '250ms' unset ticks.port/node2"));
    assert_eq!(value(&model, "node1", "ticker", "period").as_deref(), Some("250ms"));
    let ticks = &model.channels[&ChannelName::parse("ticks").unwrap()].instance;
    let ports: Vec<_> = ticks.fragments.values().map(|fragment| fragment.get("port").unwrap()).collect();
    assert_eq!(ports, ["7", "80"]);
}

#[test]
fn a_secret_is_not_repeated_in_an_error() {
    let text = "add n : EnactNode add n.s : Store set n.s.path = '/' set n.s.pin = 'hunter2'";
    let told = run_on(&Model::default(), text).unwrap_err();
    assert!(told.len() == 1 && !format!("{told:?}").contains("hunter2"), "{told:?}");
}

#[test]
fn one_mistake_is_told_once_and_independent_ones_all() {
    let text = "add node0 : EnactNod
        add node0.t : Ticker
        attach node0 nowhere
        set node0.t.period = '1s'
        add node1 : EnactNode
        add node1.t : Ticker/9
        bind node1.t.tick chan
        bind node1.t.tick chan
        set node1.nolevel = 'x'
        start %who%
        stop %who%";
    let expected = [
        (Code::UnknownType, "EnactNod"),
        (Code::UnknownName, "nowhere"),
        (Code::UnknownType, "Ticker/9"),
        (Code::UnknownName, "chan"),
        (Code::UnknownAttribute, "nolevel"),
        (Code::MissingVariable, "%who%"),
    ];
    assert_eq!(told(text), expected.map(|(code, about)| (code, about.to_owned())));
}

#[test]
fn names_are_used_once_and_of_the_right_kind() {
    for (statement, code, about) in [
        ("add node1 : EnactNode", Code::NameTaken, "node1"),
        ("add node1.ticker : Ticker", Code::NameTaken, "node1.ticker"),
        ("add ticks : EnactNode", Code::NameTaken, "ticks"),
        ("add node1.ticker : EnactNode", Code::NameTaken, "node1.ticker"),
        ("add x : Ticker", Code::WrongKind, "x"),
        ("add node1.x : Gossip", Code::WrongKind, "node1.x"),
        ("add *.x : EnactNode", Code::BadPath, "*.x"),
        ("add node1.* : Printer", Code::BadPath, "node1.*"),
        ("add a.b.c : Printer", Code::BadPath, "a.b.c"),
        ("attach ticks sync", Code::WrongKind, "ticks"),
        ("attach node1 ticks", Code::WrongKind, "ticks"),
        ("bind node1.ticker.tick sync", Code::WrongKind, "sync"),
        ("bind node1.ticker ticks", Code::BadPath, "node1.ticker"),
        ("bind node1.ticker.tock ticks", Code::UnknownPort, "tock"),
        ("bind *.*.tick ticks", Code::UnknownPort, "tick"),
        ("move * node1", Code::BadPath, "*"),
        ("move node1.ticker sync", Code::WrongKind, "sync"),
        ("move node1 node1", Code::WrongHost, "node1"),
        ("add node1.k : EnactNode host node1 k", Code::WrongHost, "node1"),
        ("add node2.ticker : Ticker move node1.ticker node2", Code::NameTaken, "ticker"),
        ("network node1.lan 1.2.3.4", Code::BadPath, "node1.lan"),
        ("property node1 '1'", Code::BadPath, "node1"),
        ("enter node1 nowhere", Code::UnknownName, "nowhere"),
    ] {
        assert_eq!(told_after(statement), one(code, about), "{statement}");
    }
}

#[test]
fn ports_that_carry_different_messages_do_not_meet() {
    let misfit = "add node2.reader : Reader bind node2.reader.input ticks";
    assert_eq!(told_after(misfit), one(Code::PortsDoNotFit, "bind node2.reader.input ticks"));
    assert_eq!(told_after("add other : Broadcast add node2.reader : Reader bind node2.reader.input other"), []);
}

#[test]
fn an_upgrade_keeps_what_fits_and_says_what_goes() {
    let demo = made(&format!("{DEMO} set node1.ticker.period = '20ms' set node1.ticker.down = 'true'"));
    let done = run_on(&demo, "upgrade *.ticker : Ticker/2.0.0").unwrap();
    let (path, component) =
        (InstancePath::Component(node("node1"), "ticker".parse().unwrap()), ComponentName::parse("ticker").unwrap());
    let before = demo.component(&node("node1"), &component).unwrap();
    let after = done.model.component(&node("node1"), &component).unwrap();
    assert_eq!(before.id, after.id);
    assert_eq!(done.model.bindings, demo.bindings);
    let instance = done.model.instance(&path).unwrap();
    assert_eq!(instance.type_ref.clone().unwrap().to_string(), "enact.Ticker/2.0.0");
    // 20ms is below the new minimum, `down` is gone, `level` is new.
    assert_eq!((instance.get("period"), instance.get("down"), instance.get("level")), (Some("3s"), None, Some("low")));
    assert_eq!(done.warnings.iter().map(|warning| warning.code).collect::<Vec<_>>(), [Code::ValueDropped; 2]);
    assert_eq!(told_after("upgrade node1.ticker : Ticker/3"), one(Code::CannotUpgrade, "node1.ticker"));
    assert_eq!(told_after("upgrade node1.ticker : Gossip"), one(Code::CannotUpgrade, "node1.ticker"));
    assert!(run_on(&demo, "upgrade node1.ticker : Ticker/1.0.0").unwrap().edits.is_empty());
}

#[test]
fn adding_what_the_model_has_keeps_its_values() {
    let demo = made(&format!("{DEMO} set node1.ticker.period = '20ms' stop node1.ticker"));
    let done = run_on(&demo, "add node1.ticker : Ticker/1.0.0").unwrap();
    assert_eq!(value(&done.model, "node1", "ticker", "period").as_deref(), Some("20ms"));
    assert_eq!((done.edits.len(), done.warnings.len()), (1, 0));
    let retyped = run_on(&demo, "add node1.ticker : Ticker/2.0.0").unwrap();
    assert_eq!(retyped.warnings[0].code, Code::AddedAgain);
    let retyped = retyped.model;
    assert_eq!(value(&retyped, "node1", "ticker", "level").as_deref(), Some("low"));
}

#[test]
fn a_script_run_again_changes_nothing() {
    let demo = made(DEMO);
    let again = run_on(&demo, DEMO).unwrap();
    assert!(again.edits.is_empty() && again.warnings.is_empty(), "{again:?}");
}

#[test]
fn any_number_of_warnings_hides_no_edit_and_no_error() {
    let many = "pause x\n".repeat(3000);
    assert_eq!(made(&format!("{many} add n : EnactNode")).nodes.len(), 1);
    let told = run_on(&Model::default(), &format!("{many} add n : Nothing")).unwrap_err();
    assert_eq!(told.iter().filter(|one| one.is_error()).count(), 1);
}

#[test]
fn a_component_that_takes_the_place_of_a_moved_one_is_another() {
    let model = made(&format!("{DEMO} move node1.ticker node2 add node1.ticker : Ticker"));
    let ids: Vec<_> = model.components().map(|(_, _, component)| component.id).collect();
    assert!(ids.len() == 3 && ids[0] != ids[1] && ids[1] != ids[2] && ids[0] != ids[2]);
    assert!(model.bindings.iter().all(|binding| binding.port.node == node("node2")));
}

#[test]
fn scopes_properties_addresses_and_annotations_come_and_go() {
    let model = made(&format!(
        "{DEMO} scope front, back enter * front leave node2 front unscope back
        property *.gpu 'true' unproperty node1.gpu
        network *.lan.ip 10.0.0.1 network *.'br 0'.\"a'b\" 'x y' unnetwork node2.lan.*
        meta node1.ticker.'pos x' '1' meta sync.note \"n\" unmeta sync.*"
    ));
    let (one, two) = (&model.nodes[&node("node1")], &model.nodes[&node("node2")]);
    assert_eq!(model.scopes.len(), 1);
    assert_eq!(
        model.scopes.values().next().unwrap().members.iter().map(NodeName::as_str).collect::<Vec<_>>(),
        ["node1"]
    );
    assert!(one.properties.is_empty() && two.properties.len() == 1);
    assert!(one.networks.len() == 2 && two.networks.len() == 1 && &*two.networks["br 0"]["a'b"] == "x y");
    assert!(model.groups.values().all(|group| group.instance.metadata.is_empty()));
    assert_eq!(one.components.values().map(|component| component.instance.metadata.len()).sum::<usize>(), 1);
}

#[test]
fn hosted_nodes_go_up_and_down_and_with_their_host() {
    let model = made("add a, a.b, c : EnactNode host c b unhost b stop a.*");
    assert_eq!(model.nodes[&node("c")].host, Some(node("b")));
    assert_eq!(model.nodes[&node("b")].host, None);
    assert_eq!(made("add a, a.b, c : EnactNode host c b remove a, b").nodes.len(), 0);
    assert_eq!(told("add a, a.b : EnactNode move a.* b"), []);
}

#[test]
fn a_wildcard_without_anything_is_a_warning_where_nothing_is_lost() {
    assert_eq!(told("add n : EnactNode remove n.*"), one(Code::MatchesNothing, "n.*"));
    assert_eq!(told("start *"), one(Code::MatchesNothing, "*"));
    assert_eq!(told("add *.t : Ticker"), one(Code::UnknownName, "*"));
    assert_eq!(told("add n : EnactNode set *.t.period = '1s'"), one(Code::UnknownName, "t"));
    assert_eq!(
        told("repo 'http://x' include mvn:a.b:c namespace x pause n"),
        [
            (Code::Deprecated, "repo 'http://x'"),
            (Code::Deprecated, "include mvn:a.b:c"),
            (Code::Deprecated, "namespace x"),
            (Code::Deprecated, "pause n"),
        ]
        .map(|(code, about)| (code, about.to_owned()))
    );
}

#[test]
fn generated_names_are_given_back_and_depend_on_the_seed_alone() {
    let run = |salt| {
        let mut variables = Variables::new();
        let (script, _) =
            parse("add %%n%% : EnactNode add %n%.t : Ticker set %%n%%.t.nothing = 'x'".split(" set").next().unwrap());
        let model = evaluate(&script, &Model::default(), &library(), &mut variables, salt).unwrap().model;
        assert_eq!(variables.generated().collect::<Vec<_>>(), ["n"]);
        assert_eq!(model.nodes.keys().next().unwrap().as_str(), variables.get("n").unwrap());
        (variables, model)
    };
    assert_eq!(run(1), run(1));
    assert_ne!(run(1).0, run(2).0);
    // A name that is there already is not generated again.
    let (_, model) = run(0);
    let mut variables = Variables::new();
    let done = evaluate(&parse("add %%n%% : EnactNode").0, &model, &library(), &mut variables, 0).unwrap();
    assert_eq!(done.model.nodes.len(), 2);
}

/// A statement over few names, right or wrong.
fn statement() -> impl Strategy<Value = String> {
    let node = || select(vec!["a", "b", "c", "*"]);
    let name = || select(vec!["a", "b", "c", "a.x", "b.y", "c.x", "*.x", "ch", "g", "a.*", "*"]);
    let quoted = || select(vec!["'1s'", "'7'", "'true'", "'it\\'s'", "\"a\nb\"", "'high'", "''"]);
    let attribute = || select(vec!["period", "port", "port/a", "port/*", "mark/b", "level", "down", "delay"]);
    prop_oneof![
        (name(), select(vec!["EnactNode", "Ticker/1.0.0", "Ticker/2.0.0", "Printer", "Broadcast", "Gossip", "Reader"]))
            .prop_map(|(name, id)| format!("add {name} : {id}")),
        (name(), select(vec!["Ticker/1.0.0", "Ticker/2.0.0", "Ticker/3"]))
            .prop_map(|(n, id)| format!("upgrade {n} : {id}")),
        name().prop_map(|name| format!("remove {name}")),
        (name(), node()).prop_map(|(name, node)| format!("move {name} {node}")),
        (node(), node()).prop_map(|(node, host)| format!("host {node} {host}")),
        (node(), select(vec!["attach", "detach"])).prop_map(|(node, verb)| format!("{verb} {node} g")),
        (name(), select(vec!["tick", "input", "*"]), select(vec!["bind", "unbind"]))
            .prop_map(|(n, p, v)| format!("{v} {n}.{p} ch")),
        (name(), attribute(), quoted())
            .prop_map(|(name, attribute, value)| format!("set {name}.{attribute} = {value}")),
        (name(), attribute()).prop_map(|(name, attribute)| format!("unset {name}.{attribute}")),
        (name(), select(vec!["start", "stop"])).prop_map(|(name, verb)| format!("{verb} {name}")),
        (node(), quoted())
            .prop_map(|(node, value)| format!("network {node}.lan.'i p' {value} property {node}.gpu {value}")),
        (name(), quoted()).prop_map(|(name, value)| format!("meta {name}.'k y' {value}")),
        (node(), select(vec!["enter", "leave"])).prop_map(|(node, verb)| format!("scope s {verb} {node} s")),
    ]
}

/// What statements make of nothing, those that fail left out.
fn model_of(statements: &[String]) -> Model {
    let mut model = Model::default();
    for statement in statements {
        model = run_on(&model, statement).map_or(model, |done| done.model);
    }
    model
}

/// A model as far as a script can say it: without identities, and without types and units that nothing has.
fn said(model: &Model) -> serde_json::Value {
    let mut value = crate::model::json::value(model);
    fn forget(value: &mut serde_json::Value) {
        if let Some(fields) = value.as_object_mut() {
            fields.remove("id");
            fields.values_mut().for_each(forget);
        }
        value.as_array_mut().into_iter().flatten().for_each(forget);
    }
    forget(&mut value);
    let fields = value.as_object_mut().expect("a document");
    fields.remove("types");
    fields.remove("units");
    value
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    #[test]
    fn a_failing_script_changes_nothing_and_the_edits_of_another_make_its_model(
        before in proptest::collection::vec(statement(), 0..20),
        script in proptest::collection::vec(statement(), 0..8),
    ) {
        let model = model_of(&before);
        let text = script.join("\n");
        let mut variables = Variables::new();
        match evaluate(&parse(&text).0, &model, &library(), &mut variables, 3) {
            Err(told) => {
                prop_assert!(told.iter().any(|one| one.is_error()));
                prop_assert_eq!(variables, Variables::new());
            }
            Ok(done) => {
                let mut edited = model.clone();
                edited.apply(&done.edits).unwrap();
                prop_assert!(edited == done.model && change::diff(&edited, &done.model).is_empty());
            }
        }
        prop_assert_eq!(&model, &model_of(&before));
    }

    #[test]
    fn a_model_is_what_its_script_makes(statements in proptest::collection::vec(statement(), 0..40)) {
        let model = model_of(&statements);
        let text = print(&model);
        let (script, diagnostics) = parse(&text);
        prop_assert!(diagnostics.is_empty(), "{}\n{:?}", text, diagnostics);
        let again = evaluate(&script, &Model::default(), &Library::of(&model), &mut Variables::new(), 0);
        let again = again.map_err(|told| TestCaseError::fail(format!("{text}\n{told:#?}")))?.model;
        prop_assert_eq!(said(&again), said(&model), "{}", text);
    }

    #[test]
    fn edits_are_printed_as_the_statements_that_make_them(
        before in proptest::collection::vec(statement(), 0..20),
        script in proptest::collection::vec(statement(), 0..6),
    ) {
        let model = model_of(&before);
        if let Ok(done) = run_on(&model, &script.join("\n")) {
            let text = print_edits(&done.edits, &model);
            let again = run_on(&model, &text).map_err(|told| TestCaseError::fail(format!("{text}\n{told:#?}")))?.model;
            prop_assert_eq!(said(&again), said(&done.model), "{}", text);
        }
    }
}
