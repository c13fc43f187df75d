import Foundation
import HTML
import Kernel

/// Sends one operation: preview, confirmation, the operation itself, and what came of it.
struct Submission: Sendable {
    let title: String
    var path: String
    let body: JSON
    let isDryRun: Bool
    let isConfirmed: Bool
    let isJSON: Bool
    let confirmByTyping: Bool
    var ifMatch: String?
    /// What a decision is about, shown before its own preview.
    var about: String?
    let key: String
    /// A key of somebody's own stands for a version they did not name, so a repeat has to name it.
    private let needsVersionTold: Bool

    /// - Parameter takesInput: false for an undo, whose fields are the inverse operation's own.
    init(
        title: String, path: String, request: OperationVerb.Request, confirmByTyping: Bool, takesInput: Bool = true
    ) {
        self.title = title
        self.path = path
        self.confirmByTyping = confirmByTyping
        body = JSON.members([
            ("input", takesInput ? .object(request.input) : nil),
            ("reason_code", request.options["reason-code"].map(JSON.string)),
            ("justification", request.options["justification"].map(JSON.string)),
            ("ticket", request.options["ticket"].map(JSON.string)),
            (
                "not_before",
                request.options["not-before"].flatMap(Instant.init(typed:)).map { .string($0.rfc3339) }
            ),
        ])
        isDryRun = request.switches.contains("dry-run")
        isConfirmed = request.switches.contains("yes")
        isJSON = request.switches.contains("json")
        ifMatch = request.options["if-match"].map { $0.hasPrefix("\"") ? $0 : "\"\($0)\"" }
        needsVersionTold = request.options["idempotency-key"] != nil && request.options["if-match"] == nil
        key = request.options["idempotency-key"] ?? Base64.encodeURL(SecureRandom.bytes(18))
    }

    /// Whether somebody reads in words what it would do.
    var isShown: Bool { isDryRun ? !isJSON : !isConfirmed }

    /// A script must say `--yes`: there is nobody to ask.
    func checkCanConfirm(_ terminal: Terminal) throws(CommandFailure) {
        guard isDryRun || isConfirmed || terminal.isInteractive else {
            throw CommandFailure(
                .usage, "This is not a terminal, so nobody can confirm. Look with --dry-run, then add --yes.")
        }
    }

    func run(with client: APIClient) async throws(CommandFailure) {
        let terminal = client.terminal
        var version = ifMatch
        var isSeen = false
        if !isConfirmed || isDryRun {
            let look = try await client.send(request(isPreview: true, version))
            guard (200..<300).contains(look.status) else { throw Problem.failure(look) }
            let preview = look.json ?? .null
            if isDryRun, isJSON {
                terminal.print(preview.pretty())
            } else {
                // Beside JSON, words go to standard error.
                let words = [about, Self.describe(preview, title: title, on: terminal)].compactMap(\.self)
                (isJSON ? terminal.note : terminal.print)(words.joined(separator: "\n\n"))
            }
            guard preview["allowed"]?.bool == true else {
                throw CommandFailure(.refused, isDryRun && !isJSON ? "" : "It can't be done now; nothing was changed.")
            }
            if isDryRun { return }
            // What is confirmed is what was seen.
            version = version ?? look.headers["etag"]
            isSeen = true
            tell(version, terminal)
            try confirm(preview, terminal)
        } else {
            tell(version, terminal)
        }
        let response = try await client.send(request(isPreview: false, version))
        if response.status == 412, isSeen {
            throw CommandFailure(
                .preconditionFailed,
                "It changed since the preview, so nothing was done. Look again: give the same command once more.")
        }
        guard (200..<300).contains(response.status) else { throw Problem.failure(response) }
        let answer = response.json ?? .null
        if isJSON {
            terminal.print(answer.pretty())
        } else {
            terminal.print(
                Self.describe(
                    outcome: answer, isReplay: response.headers["idempotency-replayed"] == "true", on: terminal))
        }
        if isSignedElsewhere {
            terminal.note(
                "A terminal has no passkey: the record says which factor you used last. In the console a passkey signs the decision itself."
            )
        }
        if response.status == 202 { throw CommandFailure(.waiting, "") }
    }

    /// Beside what is answered: how to repeat this with the same key. A repeat is not shown again, because what it does is done.
    private func tell(_ version: String?, _ terminal: Terminal) {
        guard needsVersionTold, let version else { return }
        let number = version.replacing("\"", with: "").printable
        terminal.note("Version \(number) (repeat with --yes --if-match \(number))")
    }

    /// A decision that the console would have signed.
    private var isSignedElsewhere: Bool {
        path.hasPrefix("/api/v1/approvals/") && (path.hasSuffix("/approve") || path.hasSuffix("/reject"))
    }

    private func request(isPreview: Bool, _ version: String?) -> APIRequest {
        var headers: [String: String] = [:]
        if let version { headers["If-Match"] = version }
        // A structured-field string (quoted), as the IETF draft has it.
        if !isPreview { headers["Idempotency-Key"] = JSON.string(key).canonicalText }
        return APIRequest("POST", path + (isPreview ? "?dry_run=true" : ""), headers: headers, body: body)
    }

    private func confirm(_ preview: JSON, _ terminal: Terminal) throws(CommandFailure) {
        if confirmByTyping {
            let before = preview["before"]
            let word = before?["slug"]?.string ?? before?["email"]?.string ?? before?["id"]?.string ?? "yes"
            guard try terminal.prompt("Type \(word.printable) to confirm: ") == word else {
                throw CommandFailure(.refused, "Not confirmed; nothing was changed.")
            }
        } else {
            let answer = try terminal.prompt("\(title)? [y/N] ").lowercased()
            guard ["y", "yes"].contains(answer) else {
                throw CommandFailure(.refused, "Not confirmed; nothing was changed.")
            }
        }
    }

    // MARK: Words

    static func describe(_ preview: JSON, title: String, on terminal: Terminal) -> String {
        var lines =
            preview["consequence"]?.string.map {
                [Preview.preface(isAllowed: preview["allowed"]?.bool == true), terminal.bold($0.printable)]
            } ?? [terminal.bold(title)]
        let changes = difference(preview["before"] ?? .null, preview["after"] ?? .null)
        if !changes.isEmpty { lines += ["", "Changes:"] + changes.map { "  \($0)" } }
        for also in preview["also"]?.array ?? [] {
            let changes = difference(also["before"] ?? .null, also["after"] ?? .null)
            guard !changes.isEmpty else { continue }
            lines +=
                ["", "\(also["type"]?.string ?? "") \(also["id"]?.string ?? ""):".printable] + changes.map { "  \($0)" }
        }
        if let effects = preview["effects"]?.array, !effects.isEmpty {
            lines += ["", "Will send:"] + effects.map { "  \(($0["summary"] ?? .null).shown.printable)" }
        }
        if let approvals = preview["approvals"]?.array, !approvals.isEmpty {
            lines += ["", "Needs approval:"]
            lines += approvals.map {
                "  \(($0["sentence"] ?? .null).shown): \(($0["summary"] ?? .null).shown)".printable
            }
        }
        if let sentence = preview["reversibility"]?.string, !sentence.isEmpty { lines += ["", sentence.printable] }
        if preview["allowed"]?.bool != true {
            lines += ["", terminal.bold("Not possible now:")]
            lines += (preview["reasons"]?.array ?? []).map { "  \($0.shown.printable)" }
        }
        return lines.joined(separator: "\n")
    }

    /// `status  active → suspended`, one line a member that differs.
    static func difference(_ before: JSON, _ after: JSON) -> [String] {
        let old = before.object ?? [:]
        let new = after.object ?? [:]
        let names = Set(old.keys).union(new.keys).subtracting(["version", "updated_at"])
            .filter { old[$0] ?? .null != new[$0] ?? .null }.sorted(by: DocumentDiff.precedes)
        let width = names.map(\.count).max() ?? 0
        func word(_ value: JSON?) -> String {
            let text = (value ?? .null).shown.printable
            return text.isEmpty ? "(none)" : text
        }
        return names.map { name in
            before.isNull
                ? "\(name.padded(to: width))  \(word(new[name]))"
                : "\(name.padded(to: width))  \(word(old[name])) → \(word(new[name]))"
        }
    }

    static func describe(outcome: JSON, isReplay: Bool, on terminal: Terminal) -> String {
        var lines: [String] = []
        if let approval = outcome["approval_id"]?.string {
            lines.append(terminal.bold("Waiting for approval."))
            for demand in outcome["demands"]?.array ?? [] {
                lines.append("  \(((demand["sentence"] ?? .null)).shown.printable)")
            }
            lines.append("Request  \(approval)")
            lines.append("Look     postern approval show \(approval)")
            if let until = outcome["expires_at"]?.string { lines.append("Expires  \(until)") }
            if let event = outcome["event_id"]?.string { lines.append("Event    \(event)") }
            return lines.joined(separator: "\n")
        }
        lines.append(terminal.bold(outcome["consequence"]?.string?.printable ?? "Done."))
        if isReplay { lines.append("This key was used before: the stored outcome is shown and nothing was changed.") }
        for (name, value) in (outcome["reveal"]?.object ?? [:]).sorted(by: { $0.key < $1.key }) {
            lines.append("\(name.replacing("_", with: " ")) (shown once): \(value.shown)")
        }
        if let event = outcome["event_id"]?.string {
            lines.append("Event  \(event)")
            if let undo = outcome["undo"], undo.object != nil {
                lines.append("Undo   postern undo \(event)" + (undo["until"]?.string.map { " (until \($0))" } ?? ""))
            }
        }
        return lines.joined(separator: "\n")
    }
}
