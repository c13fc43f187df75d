import HTML
import Kernel

/// Whether an event can be taken back, as far as its page can tell. The pipeline looks again before anything is done.
enum EventUndo: Sendable {
    /// It changed nothing, or this person's roles never allow the inverse.
    case absent
    /// Nothing takes it back, and why.
    case never(String)
    /// By that operation, until then.
    case now(title: String, until: Instant)
    /// Not any more: a few words, then a sentence with a way on.
    case off(why: String, detail: Node)

    static func of(_ event: EventDetail, for caller: Caller, catalog: Catalog, from reader: any Reader) throws
        -> EventUndo
    {
        let row = event.row
        guard row.eventClass == EventClass.mutation.rawValue, row.outcome == EventOutcome.applied.rawValue,
            let operation = catalog[row.action], let target = row.targetID, let change = event.changes.first
        else { return .absent }
        let answer = operation.inverse(
            target: target, before: change.before, after: change.after, reasonCode: event.leaf["reason_code"]?.string,
            also: event.changes.dropFirst().map {
                DoneChange(type: $0.type, id: $0.id, before: $0.before, after: $0.after)
            })
        // What was erased can't say how it would be taken back.
        if change.isErased, caller.permissions.contains(operation.spec.permission) {
            return .off(
                why: "what stood there was erased", detail: el("p") { "What stood there before was erased for good." })
        }
        switch answer {
        case .impossible(let sentence): return .never(sentence)
        case .run(let name, _, _, let within):
            guard let inverse = catalog[name], caller.permissions.contains(inverse.spec.permission) else {
                return .absent
            }
            if let later = try reader.first(EventQueries.head(type: operation.targetType, id: target)),
                case let id = try later.string("event_id"), id != row.id
            {
                let isUndone = event.linked.contains { $0.id == id && $0.action == name }
                return .off(
                    why: isUndone ? "undone already" : "it has changed since",
                    detail: el("p") { isUndone ? "It was taken back." : "Somebody changed it again since." }
                        + el("p") { el("a", .href("/audit/\(id)")) { "See that event" } })
            }
            let window = try within ?? PolicySetting.undoWindow(from: reader)
            let until = row.at + window
            guard reader.now <= until else {
                let path = EventWords.path(type: operation.targetType, id: target, for: caller)
                return .off(
                    why: "possible until \(TimeText.short(until, now: reader.now)) UTC",
                    detail: el("p") {
                        "This could be undone until \(TimeText.utc(until)), \(TimeText.span(window)) after it was done."
                    }
                        + (path.map { path in
                            el("p") {
                                "\(inverse.spec.title) may still do: "
                                el("a", .href(path)) { row.targetName ?? "go there" }
                            }
                        } ?? .none))
            }
            return .now(title: inverse.spec.title, until: until)
        }
    }
}
