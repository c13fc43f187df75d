import HTML
import Kernel

/// What runs in the servers beside requests, and having one part of it start anew.
public enum WorkersConsole {
    static let permission = "setting.view"

    public static let console = Console(
        "Workers", operations: [AnyOperation(RestartWorker.self)], reads: [list, view],
        entities: [AnyEntityType(Worker.self)], pages: [WorkerPages.list, WorkerPages.view])

    private static let list = Read(
        "worker.list", summary: "What the servers do beside requests, and when each was last told to start anew.",
        path: "/workers", permission: permission, parameters: [.limit, .cursor], schema: Worker.schema, isList: true
    ) { call, reader in
        let listing = try PolicyListing<Worker>.load(call, from: reader)
        return .list(listing.items.map(\.json), next: listing.next)
    }

    private static let view = Read(
        "worker.view", summary: "One worker of the servers.", path: "/workers/{id}", permission: permission,
        schema: Worker.schema, hasVersion: true
    ) { call, reader in
        let worker = try PolicyListing<Worker>.find(call, "worker", from: reader)
        return ReadAnswer(worker.json, version: worker.version)
    }
}

/// `/workers`, which stands beside the settings.
enum WorkerPages {
    static let list = Page("/workers", permission: WorkersConsole.permission, menuPath: "/settings") { call, reader in
        let workers = try reader.query(Worker.selectAll(after: "", limit: 100)).map { try Worker($0) }
            .sorted { $0.name.place < $1.name.place }
        let now = reader.now
        let mayRestart = call.caller.permissions.contains(RestartWorker.spec.permission)
        let columns: [Column<Worker>] = [
            Column("Worker", .wide, isRowHeader: true) { worker in
                el("a", .href("/workers/\(worker.id)")) { worker.name.title } + UI.sub(worker.name.summary)
            },
            Column("Runs", priority: 2) { Node(place($0)) },
            Column("Told to start anew", .number) { worker in
                worker.restartedAt.map { UI.time($0, now: now) } ?? UI.hint("never")
            },
            Column("Restart", .actions, hidesTitle: true) { worker in
                mayRestart
                    ? UI.linkButton(
                        "Restart…", href: "/workers/\(worker.id)/\(RestartWorker.spec.verbPath)", size: .small,
                        attributes: [.label("Restart \(worker.name.title)…")])
                    : .none
            },
        ]
        let body =
            SettingsPages.title("/workers")
            + UI.stack {
                UI.panel("Workers", id: "w-workers", hint: "what the servers do beside requests") {
                    if workers.isEmpty {
                        UI.empty("They are not known yet", "Run postern migrate: it puts them here.")
                    } else {
                        UI.table(
                            caption: "Workers, \(workers.count)", columns: columns, rows: workers, density: .plain)
                    }
                }
            }
        return PageAnswer(title: "Workers", body: body)
    }

    private static func place(_ worker: Worker) -> String {
        worker.name.leads ? "On one server for all" : "On every server"
    }

    static let view = Page("/workers/{id}", permission: WorkersConsole.permission, menuPath: "/settings") {
        call, reader in
        let worker = try PolicyListing<Worker>.find(call.readCall, "worker", from: reader)
        let now = reader.now
        let body =
            UI.crumbs([("Settings", "/settings"), ("Workers", "/workers")], here: worker.name.title)
            + UI.title(worker.name.title) { UI.id(worker.id, copy: "worker’s name") }
            + UI.keyFacts([
                ("Runs", Node(place(worker))),
                ("Told to start anew", worker.restartedAt.map { UI.time($0, now: now) } ?? UI.hint("never")),
            ])
            + UI.actionBar(
                worker, path: "/workers/\(worker.id)", catalog: call.catalog, caller: call.caller, now: now,
                waiting: try ApprovalList.waiting(on: worker.id, for: call.caller, from: reader))
            + UI.stack {
                el("p") { worker.name.summary }
                if call.caller.permissions.contains("audit.view") {
                    el("p") {
                        el("a", .href("/audit?target=\(worker.id)")) { "Who had it start anew, and why" }
                    }
                }
            }
        return PageAnswer(title: worker.name.title, body: body)
    }
}
