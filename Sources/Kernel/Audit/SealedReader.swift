/// The sealed members of an event: what is still there, and what was erased on whose request.
public struct SealedContents: Sendable, Hashable {
    public let present: [String: SealedMember]
    /// Member → the erasure's event.
    public let erased: [String: String]

    public init(present: [String: SealedMember], erased: [String: String]) {
        self.present = present
        self.erased = erased
    }

    /// The value of a member; `nil` when the event has none or it was erased.
    public subscript(name: String) -> JSON? { present[name]?.value }

    public func isErased(_ name: String) -> Bool { erased[name] != nil }
}

/// Loads sealed members for display, receipts, replay and undo.
public struct SealedReader: Sendable {
    private let store: any LogStore
    public init(_ store: any LogStore) { self.store = store }

    public func contents(of event: String, from reader: any Reader) throws -> SealedContents {
        try contents(of: [event], from: reader)[event] ?? SealedContents(present: [:], erased: [:])
    }

    /// The contents of several events, by event id.
    public func contents(of events: [String], from reader: any Reader) throws -> [String: SealedContents] {
        let rows = try store.sealed(events, reader)
        var erased: [String: [String: String]] = [:]
        for erasure in try store.erasures(events, reader) {
            erased[erasure.event, default: [:]][erasure.member] = erasure.erasedBy
        }
        var out: [String: SealedContents] = [:]
        for event in events {
            let gone = erased[event] ?? [:]
            // What was erased stays erased, even if somebody writes a value back.
            let members = try rows[event].map { try Self.members($0).filter { gone[$0.key] == nil } } ?? [:]
            out[event] = SealedContents(present: members, erased: gone)
        }
        return out
    }

    /// The members of a `sealed` row.
    public static func members(_ text: String) throws -> [String: SealedMember] {
        guard let members = try? JSON(parsing: text).object else { throw StoreError.shape(column: "members") }
        var out: [String: SealedMember] = [:]
        for (name, json) in members {
            guard let member = SealedMember(name: name, json: json) else { throw StoreError.shape(column: "members") }
            out[name] = member
        }
        return out
    }
}
