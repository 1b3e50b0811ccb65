# erlang: many processes, messages, timers, binaries, ports, code that is compiled and loaded at run time.
cat > a.erl <<'X'
-module(a).
-export([main/0, version/0]).
version() -> 1.
main() ->
    Me = self(),
    [spawn(fun() -> Me ! {N, lists:sum(lists:seq(1, N))} end) || N <- lists:seq(1, 2000)],
    io:format("~p~n", [lists:sum([receive {N, S} -> S end || N <- lists:seq(1, 2000)])]),
    Ring = lists:foldl(fun(_, Next) -> spawn(fun() -> forward(Next) end) end, Me, lists:seq(1, 500)),
    [Ring ! {round, N} || N <- lists:seq(1, 100)],
    io:format("~p~n", [[receive {round, N} -> N end || N <- lists:seq(1, 100)] =:= lists:seq(1, 100)]),
    Table = ets:new(t, [public, {write_concurrency, true}]),
    Workers = [spawn_monitor(fun() -> [ets:update_counter(Table, k, 1, {k, 0}) || _ <- lists:seq(1, 1000)] end) || _ <- lists:seq(1, 8)],
    [receive {'DOWN', R, process, P, normal} -> ok end || {P, R} <- Workers],
    io:format("~p~n", [ets:lookup(Table, k)]),
    io:format("~p~n", [catch 1 / (length([]))]),
    io:format("~p~n", [erlang:md5(term_to_binary(lists:seq(1, 5000))) =:= erlang:md5(term_to_binary(lists:seq(1, 5000)))]),
    timer:sleep(20),
    io:format("~p ~s", [math:pow(2, 0.5), os:cmd("echo a port")]),
    {ok, b, Code} = compile:forms([{attribute, 1, module, b}, {attribute, 1, export, [{f, 1}]},
        {function, 1, f, 1, [{clause, 1, [{var, 1, 'X'}], [], [{op, 1, '*', {var, 1, 'X'}, {integer, 1, 3}}]}]}]),
    {module, b} = code:load_binary(b, "b", Code),
    io:format("~p ~p~n", [b:f(14), fib(24)]),
    halt(3).
forward(Next) -> receive Message -> Next ! Message end, forward(Next).
fib(N) when N < 2 -> N;
fib(N) -> fib(N - 1) + fib(N - 2).
X
erlc a.erl
echo "erlc $?"
erl -noshell -s a main
echo "ended with $?"
