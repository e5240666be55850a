%% What Erlang does for each row: plain processes and messages, as its own guide has them.
-module(bench).
-behaviour(gen_server).
-export([main/1, idle/1, remote_sink/3, remote_echo/0]).
-export([init/1, handle_call/3, handle_cast/2]).

-define(PACKET(N, Last), {N, Last, 16#ffffffffffff, 16#ffffffffffff}).

main(["pairs", Size, Pairs]) ->
    {N, P} = {list_to_integer(Size), list_to_integer(Pairs)},
    Me = self(),
    Sinks = [spawn_link(fun() -> sink(0, N, Me) end) || _ <- lists:seq(1, P)],
    Sources = [spawn_link(fun() -> receive go -> source(Sink, 0, N) end end) || Sink <- Sinks],
    Start = now_us(),
    [Source ! go || Source <- Sources],
    [receive done -> ok end || _ <- Sinks],
    say("rate ~f lost 0", [N * P / (now_us() - Start)]);

main(["spawn", Size]) ->
    N = list_to_integer(Size),
    Me = self(),
    Cores = erlang:system_info(schedulers_online),
    Before = resident(),
    Start = now_us(),
    Spawners = [spawn_link(fun() -> spawner(Me, N * (I + 1) div Cores - N * I div Cores) end) || I <- lists:seq(0, Cores - 1)],
    Counts = [receive {spawned, Spawner, Count} -> Count end || Spawner <- Spawners],
    Elapsed = now_us() - Start,
    N = lists:sum(Counts),
    say("rate ~f bytes ~f", [N / Elapsed, (resident() - Before) / N]);

main(["tell", Size, Bytes]) ->
    N = list_to_integer(Size),
    Body = binary:copy(<<$x>>, list_to_integer(Bytes) - 8),
    Node = other(),
    Me = self(),
    Sink = spawn(Node, ?MODULE, remote_sink, [0, N, Me]),
    receive ready -> ok end,
    Start = now_us(),
    tell(Sink, 0, N, Body),
    receive {done, N} -> ok end,
    Elapsed = now_us() - Start,
    stop(Node),
    say("rate ~f lost 0", [N / Elapsed]);

main(["ask", Size, InFlight]) ->
    {N, K} = {list_to_integer(Size), list_to_integer(InFlight)},
    Node = other(),
    Me = self(),
    Echo = spawn(Node, ?MODULE, remote_echo, []),
    Body = binary:copy(<<$x>>, 24),
    Start = now_us(),
    Askers = [spawn_link(fun() -> Me ! {asked, self(), ask(Echo, N div K, Body, [])} end) || _ <- lists:seq(1, K)],
    Times = lists:sort(lists:append([receive {asked, Asker, Found} -> Found end || Asker <- Askers])),
    Elapsed = now_us() - Start,
    stop(Node),
    At = fun(Share) -> lists:nth(max(1, round(length(Times) * Share)), Times) end,
    say("rate ~f p50 ~f p99 ~f", [length(Times) / Elapsed * 1000, At(0.5) / 1000, At(0.99) / 1000]);

main(["servers", Size]) ->
    N = list_to_integer(Size),
    Start = now_us(),
    All = [element(2, {ok, _} = gen_server:start(?MODULE, none, [])) || _ <- lists:seq(1, N)],
    Elapsed = now_us() - Start,
    N = length(All),
    say("ms ~f", [Elapsed / 1000]);

main(["watch"]) ->
    Node = other(),
    monitor_node(Node, true),
    io:format("~s~n", [rpc:call(Node, os, getpid, [])]),
    receive {nodedown, Node} -> io:format("down~n") end,
    halt(0);

%% The other node: lives until its standard input ends.
main(["other"]) ->
    io:format("ready~n"),
    io:get_line(""),
    halt(0, [{flush, false}]).

sink(N, N, Me) -> Me ! done;
sink(N, Last, Me) -> receive ?PACKET(N, _) -> sink(N + 1, Last, Me) end.

source(_, N, N) -> ok;
source(Sink, N, Last) -> Sink ! ?PACKET(N, Last), source(Sink, N + 1, Last).

spawner(Me, Count) ->
    Self = self(),
    All = [spawn(?MODULE, idle, [Self]) || _ <- lists:seq(1, Count)],
    [receive started -> ok end || _ <- All],
    Me ! {spawned, self(), length(All)},
    receive never -> All end.

idle(Spawner) ->
    Spawner ! started,
    receive stop -> ok end.

tell(_, N, N, _) -> ok;
tell(Sink, N, Last, Body) -> Sink ! {N, Body}, tell(Sink, N + 1, Last, Body).

remote_sink(0, Last, Me) -> Me ! ready, remote_sink_loop(0, Last, Me).

remote_sink_loop(N, N, Me) -> Me ! {done, N};
remote_sink_loop(N, Last, Me) -> receive {N, _} -> remote_sink_loop(N + 1, Last, Me) end.

ask(_, 0, _, Times) -> Times;
ask(Echo, N, Body, Times) ->
    Start = erlang:monotonic_time(nanosecond),
    Ref = make_ref(),
    Echo ! {self(), Ref, Body},
    receive {Ref, _} -> ok end,
    ask(Echo, N - 1, Body, [erlang:monotonic_time(nanosecond) - Start | Times]).

remote_echo() -> receive {From, Ref, Body} -> From ! {Ref, Body}, remote_echo() end.

%% A second Erlang on this machine, reached without epmd: both are started with one port, on which only the other one listens.
other() ->
    {ok, [[Number]]} = init:get_argument(erl_epmd_port),
    Folder = filename:dirname(code:which(?MODULE)),
    Args = ["-noshell", "-start_epmd", "false", "-erl_epmd_port", Number, "-setcookie", "bench", "-name", "other@127.0.0.1",
            "-kernel", "inet_dist_use_interface", "{127,0,0,1}", "-pa", Folder, "-run", "bench", "main", "other"],
    Child = open_port({spawn_executable, os:find_executable("erl")}, [{args, Args}, {line, 100}, exit_status]),
    receive {Child, {data, {eol, "ready"}}} -> ok end,
    put(child, Child),
    {ok, _} = net_kernel:start('me@127.0.0.1', #{name_domain => longnames, dist_listen => false}),
    erlang:set_cookie(bench),
    true = net_kernel:connect_node('other@127.0.0.1'),
    'other@127.0.0.1'.

stop(_Node) -> port_close(get(child)).

init(none) -> {ok, none}.
handle_call(_, _, State) -> {reply, ok, State}.
handle_cast(_, State) -> {noreply, State}.

now_us() -> erlang:monotonic_time(microsecond).

resident() ->
    {ok, Text} = file:read_file("/proc/self/statm"),
    [_, Pages | _] = string:split(Text, " ", all),
    binary_to_integer(Pages) * 4096.

say(Format, Values) ->
    io:format(Format ++ "~n", Values),
    halt(0).
