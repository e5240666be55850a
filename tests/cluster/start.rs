//! What keeps a node from starting: one line what, one line help, exit code 1.

use enact_lab::Group;

#[test]
fn a_name_a_directory_and_a_port_have_one_user() {
    let mut group = Group::new("taken");
    let mut node = group.start("node1");
    let listen = format!("tcp/127.0.0.1:{}", enact_lab::free_port());
    let name = group.run(&["node", "--name", "node1", "--listen", &listen, "--join", &node.address]).ended(1);
    name.said(&["error: a node named \"node1\" is already in the group", "help: give this node another name"]);

    let data = group.path("node1");
    let data = data.to_str().expect("UTF-8");
    let directory =
        group.run(&["node", "--name", "node2", "--listen", &listen, "--join", &node.address, "--data", data]).ended(1);
    directory.said(&["is in use by another process", "help: stop the node that uses it"]);

    let port = group.run(&["node", "--name", "node2", "--listen", &node.address]).ended(1);
    port.said(&["error: cannot listen on", "the port is in use", "help: choose another port"]);

    assert!(node.runs(), "{}", node.log());
    group.await_in_step(&node, 1);
}

#[test]
fn a_configuration_that_is_wrong_is_told_with_its_place() {
    let group = Group::new("configuration");
    group.write("enact.toml", "group = \"g\"\n\nlisen = [\"tcp/127.0.0.1:0\"]\n");
    group.run(&["node"]).ended(1).said(&["enact.toml:3", "unknown key \"lisen\"", "did you mean \"listen\"?"]);
    group.write("enact.toml", "listen = [[\n");
    group.run(&["node"]).ended(1).said(&["enact.toml:1"]);
    group.write("enact.toml", "[limits]\nstep = \"soon\"\n");
    group.run(&["node"]).ended(1).said(&["enact.toml:2", "soon"]);
    group.run(&["node", "--config", "absent.toml"]).ended(1).said(&["absent.toml", "No such file"]);
    std::fs::remove_file(group.path("enact.toml")).expect("it was written");
    group.run(&["node", "--set", "limits.stap=1s"]).ended(2).said(&["limits.stap", "did you mean `limits.step`?"]);
    group.run(&["node", "--listen", "0.0.0.0:0"]).ended(4).said(&["--insecure"]);
}

#[test]
fn a_boot_script_that_is_wrong_is_told_whole_and_changes_nothing() {
    let group = Group::new("boot-wrong");
    let listen = format!("tcp/127.0.0.1:{}", enact_lab::free_port());
    group.write("boot.kevs", "add node1 : EnactNode\nadd node1.a : Tickr\nadd node1.b : Countr\n");
    let boot = |file: &str| group.run(&["node", "--name", "node1", "--listen", &listen, "--boot", file]).ended(1);
    boot("boot.kevs").said(&[
        "no type `Tickr`",
        "no type `Countr`",
        "boot.kevs:2",
        "boot.kevs:3",
        "nothing was changed",
    ]);
    boot("absent.kevs").said(&["absent.kevs: No such file", "help:"]);
    group.write("boot.json", "{\"apiVersion\": \"enact/v1\", \"kind\": \"Model\", \"nodes\": 7}");
    boot("boot.json").said(&["boot.json", "help:"]);
    group.write("other.kevs", "add node7 : EnactNode\n");
    boot("other.kevs").said(&["does not add this node", "node1"]);
}

#[test]
fn a_node_boots_from_a_script_or_from_a_model() {
    let mut group = Group::new("boot");
    let name = group.name().to_owned();
    group.write(
        "boot.kevs",
        &format!("add node1 : EnactNode\nadd {name} : Gossip\nattach node1 {name}\nadd node1.counter : Counter\n"),
    );
    let mut node = group.start_with("node1", &["--boot", "boot.kevs"]);
    assert_eq!(group.ask(&node, "node1.counter.count"), 0);
    let model = group.at(&node, &["get", "-o", "kevs"]).ok().stdout;
    assert!(model.contains("counter"), "{model}");
    assert_eq!(node.terminate(), Some(0), "{}", node.log());

    // The model of one group is the boot of another.
    let node = group.start("node1");
    let mut other = Group::new("boot-model");
    let document = group.at(&node, &["get", "-o", "json"]).ok().json();
    other.write("boot.json", &document["model"].to_string().replace(&name, other.name()));
    let booted = other.start_with("node1", &["--boot", "boot.json"]);
    assert_eq!(other.ask(&booted, "node1.counter.count"), 0);
}
