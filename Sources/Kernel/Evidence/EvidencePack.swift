/// What a console gives as evidence: `GET /api/v1{path}`, a package that can be checked without this server.
public struct EvidenceSource: Sendable {
    /// `access_review.export`: the OpenAPI `operationId` and the action it is recorded by.
    public let name: String
    public let summary: String
    /// `/access-reviews/{id}/evidence`
    public let path: String
    public let permission: String
    public let gather: @Sendable (ReadCall, any Reader) throws -> (EvidenceContents, Disclosure)

    public init(
        _ name: String, summary: String, path: String, permission: String,
        gather: @escaping @Sendable (ReadCall, any Reader) throws -> (EvidenceContents, Disclosure)
    ) {
        self.name = name
        self.summary = summary
        self.path = path
        self.permission = permission
        self.gather = gather
    }
}

/// What a package is about.
public struct EvidenceContents: Sendable {
    /// A row as it stands, and the event that made it so.
    public struct Row: Sendable {
        public let type: String
        public let id: String
        public let document: JSON
        /// Why it is so, in words; `nil` where nobody decided, or the reason was erased.
        public let reason: String?
        public init(_ entity: any Entity, reason: String? = nil) {
            type = Swift.type(of: entity).type
            id = entity.id
            document = entity.document
            self.reason = reason
        }
    }

    public let subject: (type: String, id: String)
    public let title: String
    /// `SOC 2`
    public let framework: String
    public let controls: [(id: String, title: String)]
    public let window: (start: Instant, end: Instant?)
    public let rows: [Row]
    /// Every event that made one of them, in the order of time.
    public let events: [String]
    /// Rows of these types are shown with the events, too, without being evidence themselves.
    public let beside: Set<String>
    /// Names of who is meant by an id, as they are called now. The log does not prove them.
    public let people: [String: String]

    public init(
        subject: (type: String, id: String), title: String, framework: String,
        controls: [(id: String, title: String)], window: (start: Instant, end: Instant?), rows: [Row],
        events: [String], beside: Set<String> = [], people: [String: String]
    ) {
        self.subject = subject
        self.title = title
        self.framework = framework
        self.controls = controls
        self.window = window
        self.rows = rows
        self.events = events
        self.beside = beside
        self.people = people
    }

    /// `rev_….evidence.tar`
    public var fileName: String { "\(subject.id).evidence.tar" }
    var types: Set<String> { Set(rows.map(\.type)) }
}

/// A package of evidence: an archive of
///
///     manifest.json            what it is about, and the digest of every other file
///     rows.json                each row as it stands, with the event that made it so and the reason
///     receipts/evt_….json      the log's receipt of every event about them
///     README.md                how it is checked
///
/// Each receipt can be checked by itself. Together they prove the rows: what an event says a row became is committed to by its
/// entry in the log, and the versions of a row leave no room for an event that is kept back between two others. That none is kept
/// back after the last one is proven by the event that ends the subject: its facts commit to the versions its items ended with
/// (`items_sha256`).
public struct EvidencePack: Sendable {
    public static let version: Int64 = 1
    static let manifestPath = "manifest.json"
    static let rowsPath = "rows.json"
    static let readmePath = "README.md"

    // MARK: Making

    /// The fact of an event that ends something.
    public static let itemsFact = "items_sha256"
    /// The facts in which the end counts the items by their state.
    static let counts = ["kept", "revoked", "ended"]

    /// What the end of something commits to: SHA-256, in hexadecimal, over a line `id version` for each of its items as they are
    /// from then on, sorted by bytes.
    public static func digest(of items: [(id: String, version: Int64)]) -> String {
        let lines = items.map { "\($0.id) \($0.version)\n" }.sorted { $0.utf8.lexicographicallyPrecedes($1.utf8) }
        return sha256(Array(lines.joined().utf8)).hex
    }

    /// - Parameters:
    ///   - receipts: of all events of the contents, as the log gives them.
    ///   - log: the log's verifier key.
    public static func archive(
        _ contents: EvidenceContents, receipts: [(event: String, receipt: JSON)], log: String, by person: String,
        at now: Instant
    ) -> [UInt8] {
        let types = contents.types
        let bare = receipts.map { ($0.event, self.bare($0.receipt, showing: types.union(contents.beside))) }
        let makers = makers(of: bare.map(\.1), types)
        let rows: JSON = [
            "rows": .array(
                contents.rows.map { row in
                    JSON.members([
                        ("type", .string(row.type)), ("id", .string(row.id)), ("document", row.document),
                        ("event", makers["\(row.type) \(row.id)"].map(JSON.string)),
                        ("reason", row.reason.map(JSON.string)),
                    ])
                })
        ]
        var files: [(file: Tar.File, description: String)] = [
            (Tar.File(rowsPath, rows.canonical), "Each row as it stands, with the event that made it so"),
            (Tar.File(readmePath, Array(readme(contents, log).utf8)), "How this package is checked"),
        ]
        for (event, receipt) in bare {
            files.append((Tar.File("receipts/\(event).json", receipt.canonical), "The log's receipt of an event"))
        }
        let manifest = JSON.members([
            ("postern_evidence", .int(version)),
            ("subject", ["type": .string(contents.subject.type), "id": .string(contents.subject.id)]),
            ("title", .string(contents.title)), ("framework", .string(contents.framework)),
            (
                "controls",
                .array(contents.controls.map { ["id": .string($0.id), "title": .string($0.title)] })
            ), ("window_start", JSON(contents.window.start)), ("window_end", JSON(contents.window.end)),
            ("produced_at", JSON(now)), ("produced_by", .string(person)), ("log", .string(log)),
            ("types", .array(types.sorted().map(JSON.string))),
            ("people", .object(contents.people.mapValues(JSON.string))),
            (
                "artefacts",
                .array(
                    files.sorted { $0.file.path < $1.file.path }.map { file, description in
                        [
                            "path": .string(file.path), "sha256": .string(sha256(file.bytes).hex),
                            "size_bytes": .int(Int64(file.bytes.count)), "description": .string(description),
                        ]
                    })
            ),
        ])
        return Tar.archive(files.map(\.file) + [Tar.File(manifestPath, manifest.canonical)])
    }

    /// Without what is nobody's business: addresses, browsers, and rows of other kinds.
    private static func bare(_ receipt: JSON, showing types: Set<String>) -> JSON {
        guard var members = receipt.object, let sealed = receipt["sealed"]?.object,
            let leaf = receipt["leaf"]?.string.flatMap(Base64.decode).flatMap({ try? JSON(parsing: $0) })
        else { return receipt }
        let changes = leaf["changes"]?.array ?? []
        func isShown(_ name: String) -> Bool {
            if ["justification", "ticket", "intent"].contains(name) { return true }
            let parts = name.split(separator: ".")
            guard parts.count == 3, parts[0] == "changes", let index = Int(parts[1]), changes.indices.contains(index)
            else { return false }
            return types.contains(changes[index]["type"]?.string ?? "")
        }
        members["sealed"] = .object(sealed.filter { isShown($0.key) })
        if let erased = receipt["erased"]?.object { members["erased"] = .object(erased.filter { isShown($0.key) }) }
        return .object(members)
    }

    /// The last event about each row, by `type id`.
    private static func makers(of receipts: [JSON], _ types: Set<String>) -> [String: String] {
        var out: [String: String] = [:]
        let leaves = receipts.compactMap { receipt -> (index: Int64, leaf: JSON)? in
            guard let index = receipt["index"]?.int,
                let leaf = receipt["leaf"]?.string.flatMap(Base64.decode).flatMap({ try? JSON(parsing: $0) })
            else { return nil }
            return (index, leaf)
        }.sorted { $0.index < $1.index }
        for (_, leaf) in leaves {
            for change in leaf["changes"]?.array ?? [] {
                guard let type = change["type"]?.string, types.contains(type), let id = change["id"]?.string else {
                    continue
                }
                out["\(type) \(id)"] = leaf["id"]?.string
            }
        }
        return out
    }

    private static func readme(_ contents: EvidenceContents, _ log: String) -> String {
        """
        # \(contents.title)

        Evidence for \(contents.framework) \(contents.controls.map { "\($0.id) (\($0.title))" }.joined(separator: ", ")).

        - `manifest.json` names every file with its SHA-256.
        - `rows.json` holds each row as it stands, the event that made it so, and the reason somebody gave.
        - `receipts/` holds the audit log's receipt of every event about them: its exact bytes, the path to a signed root, and the
          values it commits to. Addresses and browsers are left out. The event that ended it commits to the versions of the rows, so
          that none which came last is left out.

        Take the log's public key from the auditor listener (`/log/key`), not from here; it should be

            \(log)

        Check everything, without the server:

            postern verify evidence \(contents.fileName) --key KEY
            python3 verify_evidence.py \(contents.fileName) KEY

        or one receipt: `postern verify --receipt receipts/evt_….json --key KEY`.

        Names in the manifest are what people are called today. Names in the rows are what they were called then, and proven.

        """
    }

    // MARK: Reading

    public let manifest: JSON
    private let files: [String: [UInt8]]

    /// - Throws: `NoteError` when it is no package of evidence.
    public init(_ archive: [UInt8]) throws(NoteError) {
        var files: [String: [UInt8]] = [:]
        for file in try Tar.files(in: archive) {
            guard files.updateValue(file.bytes, forKey: file.path) == nil else {
                throw NoteError("The package holds \(file.path) twice.")
            }
        }
        guard let manifest = files[Self.manifestPath].flatMap({ try? JSON(parsing: $0) }),
            let version = manifest["postern_evidence"]?.int
        else { throw NoteError("This is no package of evidence: it has no manifest.") }
        guard version == Self.version else {
            throw NoteError("The package is of version \(version), which this program does not know.")
        }
        self.manifest = manifest
        self.files = files
    }

    public var subject: String { manifest["subject"]?["id"]?.string ?? "" }

    /// What was found out.
    public struct Report: Sendable, Hashable {
        public var lines: [String] = []
        public var findings: [String] = []
        public var holds: Bool { findings.isEmpty }
    }

    /// A receipt that was found right.
    private struct Proven {
        let leaf: JSON
        let index: Int64
        let sealed: [String: SealedMember]
        let erased: Set<String>
        var id: String { leaf["id"]?.string ?? "" }
    }

    /// Verifies all of it: the digests, every receipt, and that the rows are what the events made them, with none kept back.
    /// - Parameter log: the log's public key, from elsewhere than the package.
    public func verify(log: VerifierKey) -> Report {
        var report = Report()
        checkFiles(&report)
        let proven = receipts(log, &report)
        let rows = claimed(&report)
        let types = Set((manifest["types"]?.array ?? []).compactMap(\.string))
        let states = fold(proven, types, &report)
        for key in Set(states.keys).union(rows.keys).sorted() {
            check(key, rows[key], states[key], proven, &report)
        }
        checkEnds(proven, types, &report)
        if rows["\(manifest["subject"]?["type"]?.string ?? "") \(subject)"] == nil {
            report.findings.append("The package says nothing of \(subject), which it is about.")
        }
        report.lines.append(
            "\(rows.count) rows, \(proven.count) events of \(log.name): \(controls).")
        return report
    }

    private var controls: String {
        (manifest["controls"]?.array ?? []).compactMap { $0["id"]?.string }.joined(separator: ", ")
    }

    private func checkFiles(_ report: inout Report) {
        var named: Set<String> = [Self.manifestPath]
        for artefact in manifest["artefacts"]?.array ?? [] {
            guard let path = artefact["path"]?.string, let digest = artefact["sha256"]?.string else { continue }
            named.insert(path)
            guard let bytes = files[path] else {
                report.findings.append("\(path) is named in the manifest and not there.")
                continue
            }
            if sha256(bytes).hex != digest || Int64(bytes.count) != artefact["size_bytes"]?.int {
                report.findings.append("\(path) is not the file that the manifest names.")
            }
        }
        for path in files.keys.sorted() where !named.contains(path) {
            report.findings.append("\(path) is not named in the manifest.")
        }
    }

    private func receipts(_ log: VerifierKey, _ report: inout Report) -> [Proven] {
        var out: [Proven] = []
        for (path, bytes) in files.sorted(by: { $0.key < $1.key }) where path.hasPrefix("receipts/") {
            do throws(NoteError) {
                guard let json = try? JSON(parsing: bytes) else { throw NoteError("it is no JSON.") }
                let receipt = try Receipt(json)
                try receipt.verify(key: log)
                let leaf = try LeafReader(receipt.leaf).json
                guard path == "receipts/\(leaf["id"]?.string ?? "").json" else {
                    throw NoteError("it is the receipt of another event.")
                }
                out.append(
                    Proven(
                        leaf: leaf, index: receipt.index, sealed: receipt.sealed, erased: Set(receipt.erased.keys)))
            } catch {
                report.findings.append("\(path): \(error.description)")
            }
        }
        return out.sorted { $0.index < $1.index }
    }

    private func claimed(_ report: inout Report) -> [String: JSON] {
        guard let rows = files[Self.rowsPath].flatMap({ try? JSON(parsing: $0) })?["rows"]?.array else {
            report.findings.append("\(Self.rowsPath) can't be read.")
            return [:]
        }
        var out: [String: JSON] = [:]
        for row in rows {
            let key = "\(row["type"]?.string ?? "") \(row["id"]?.string ?? "")"
            if out.updateValue(row, forKey: key) != nil { report.findings.append("\(key) stands there twice.") }
        }
        return out
    }

    /// What a row became last, and by which event.
    private struct State {
        var event: String
        /// `nil` once it was erased.
        var document: JSON?
        var version: Int64?
    }

    private func fold(_ proven: [Proven], _ types: Set<String>, _ report: inout Report) -> [String: State] {
        var states: [String: State] = [:]
        for event in proven {
            for (index, change) in (event.leaf["changes"]?.array ?? []).enumerated() {
                guard let type = change["type"]?.string, types.contains(type), let id = change["id"]?.string else {
                    continue
                }
                let key = "\(type) \(id)"
                let before = states[key]
                func value(_ side: String) -> JSON? { event.sealed["changes.\(index).\(side)"]?.value }
                let name = "changes.\(index).after"
                if value("after") == nil, !event.erased.contains(name) {
                    report.findings.append("\(event.id): what \(key) became is not in the package.")
                }
                let after = value("after")
                if before == nil, change["before"] != nil {
                    report.findings.append("\(event.id): the events about \(key) do not begin with its making.")
                }
                let version = after?["version"]?.int
                if let before, let known = before.version, let version, version != known + 1 {
                    report.findings.append(
                        "\(event.id): \(key) has version \(version) after \(known): an event between them is missing.")
                }
                if let was = value("before"), let document = before?.document, was != document {
                    report.findings.append("\(event.id): \(key) was not what the event before left it as.")
                }
                // Of what was erased only the count of events is known.
                let counted: Int64?
                if let before {
                    counted = before.version.map { $0 + 1 }
                } else {
                    counted = change["before"] == nil ? 1 : nil
                }
                states[key] = State(event: event.id, document: after, version: version ?? counted)
            }
        }
        return states
    }

    /// Compares what the events that end something say of its items with what the events until then made of them.
    private func checkEnds(_ proven: [Proven], _ types: Set<String>, _ report: inout Report) {
        let ends = proven.indices.filter { Self.isEnd(proven[$0].leaf) }
        if ends.isEmpty {
            report.lines.append(
                "No event here says how it ended: one that came after the last of each row would not be missed.")
        }
        for end in ends {
            let event = proven[end]
            let facts = event.leaf["facts"]
            let type = "\(event.leaf["target"]?["type"]?.string ?? "")_item "
            // What is wrong with them is said already.
            var known = Report()
            let items = fold(Array(proven[...end]), types, &known).filter { $0.key.hasPrefix(type) }
            if let digest = facts?[Self.itemsFact]?.string {
                let here = items.map { (id: String($0.key.dropFirst(type.count)), version: $0.value.version ?? 0) }
                if digest != Self.digest(of: here) {
                    report.findings.append(
                        "\(event.id): its rows ended in other versions than the package has: an event is missing.")
                }
            } else {
                report.lines.append(
                    "\(event.id) commits to no versions, as older events do: what was decided is compared by counts.")
            }
            checkCounts(of: event, facts, items.values.map(\.document), &report)
        }
    }

    /// Whether an event ends what it is about, and says what its items were then.
    private static func isEnd(_ leaf: JSON) -> Bool {
        guard let facts = leaf["facts"], let target = leaf["target"] else { return false }
        let says = facts[itemsFact] != nil || counts.allSatisfy { facts[$0]?.int != nil }
        return says
            && (leaf["changes"]?.array ?? []).contains { $0["type"] == target["type"] && $0["id"] == target["id"] }
    }

    /// - Parameter documents: of the items; `nil` for each that was erased.
    private func checkCounts(
        of event: Proven, _ facts: JSON?, _ documents: [JSON?], _ report: inout Report
    ) {
        let said = Self.counts.compactMap { state in facts?[state]?.int.map { (state: state, count: $0) } }
        guard said.count == Self.counts.count else { return }
        let erased = Int64(documents.count { $0 == nil })
        for (state, count) in said {
            let here = Int64(documents.count { $0?["state"]?.string == state })
            if count < here || count > here + erased {
                report.findings.append("\(event.id): it counts \(count) \(state), and the package has \(here).")
            }
        }
        let all = said.reduce(0) { $0 + $1.count }
        if all != Int64(documents.count) {
            report.findings.append("\(event.id): it counts \(all) in all, and the package has \(documents.count).")
        }
    }

    private func check(
        _ key: String, _ row: JSON?, _ state: State?, _ proven: [Proven], _ report: inout Report
    ) {
        guard let row else { return report.findings.append("\(key) is in the events and not among the rows.") }
        guard let state else { return report.findings.append("No event of the package is about \(key).") }
        if row["event"]?.string != state.event {
            report.findings.append("\(key): the last event about it is \(state.event).")
        }
        if let document = state.document, row["document"] != document {
            report.findings.append("\(key) is not what \(state.event) made it.")
        }
        let document = row["document"] ?? .null
        // Who decided, and why, is said by another event than the last one where something else came after it.
        guard let decision = document["event_id"]?.string else {
            if let reason = row["reason"]?.string {
                report.findings.append("\(key) has the reason “\(reason)” of nobody.")
            }
            return
        }
        guard let event = proven.first(where: { $0.id == decision }) else {
            return report.findings.append("\(key): the event \(decision) that decided it is not in the package.")
        }
        if document["decided_by"]?.string != event.leaf["actor"]?["id"]?.string {
            report.findings.append("\(key): \(decision) was not done by who is said to have decided.")
        }
        if document["reason_code"] != event.leaf["reason_code"] {
            report.findings.append("\(key): \(decision) has another reason code.")
        }
        let reason = event.sealed["justification"]?.value
        if reason != row["reason"] {
            report.findings.append("\(key): \(decision) gives another reason.")
        }
        let who = document["decided_by"]?.string ?? ""
        let name = manifest["people"]?[who]?.string.map { "\($0) (\(who))" } ?? who
        report.lines.append(
            "\(document["name"]?.string ?? key), \(document["role"]?.string ?? ""): \(document["state"]?.string ?? "") by \(name) at \(event.leaf["at"]?.string ?? ""), entry \(event.index)\(reason?.string.map { ": \($0)" } ?? ".")"
        )
    }
}
