import CommandLine
import Credentials
import Foundation
import Kernel
import Store

extension ServerInstallation {
    func verify(_ question: VerifyQuestion) async throws -> VerifyResult {
        if let receipt = question.receipt { return try verifyReceipt(receipt, key: try verifierKey(question.key)) }
        if let evidence = question.evidence {
            return try verifyEvidence(evidence, key: try verifierKey(question.key))
        }
        if let package = question.package {
            return try verifyPackage(package, key: try verifierKey(question.key))
        }
        if let export = question.export {
            return try verifyExport(export, key: try verifierKey(question.key), against: question.against)
        }
        return try await verifyDatabase(question)
    }

    // MARK: Online

    private func verifyDatabase(_ question: VerifyQuestion) async throws(CommandFailure) -> VerifyResult {
        let deployment = try Deployment.load(environment: environment)
        let configuration = deployment.configuration
        // Only the public half is needed: the log is verified, not continued.
        let key: VerifierKey
        if let path = question.key {
            key = try verifierKey(path)
        } else {
            key = try SecretKeys.load(configuration, makesMissing: false).log.verifier
        }
        var storage = deployment.storage
        do {
            storage = try await deployment.serverStorage()
            if case .sqlite(let path) = storage, !FileManager.default.fileExists(atPath: path) {
                throw CommandFailure(.notFound, "There is no database at \(path).")
            }
            // Counting a large table may take minutes.
            let (database, _) = try storage.open(statementTimeout: .hours(6))
            do {
                let result = try await verify(database, deployment, key, question)
                await database.close()
                return result
            } catch {
                await database.close()
                throw error
            }
        } catch let error as NoteError {
            throw CommandFailure(.usage, error.description)
        } catch {
            terminal.endProgress()
            throw CommandFailure(error, storage)
        }
    }

    private func verify(
        _ database: any Database, _ deployment: Deployment, _ key: VerifierKey, _ question: VerifyQuestion
    ) async throws -> VerifyResult {
        let pending = try await Migrator.pending(database)
        guard pending.isEmpty else {
            throw CommandFailure(.refused, "The database is of another version. Run: postern migrate")
        }
        let configuration = deployment.configuration
        let progressFile = configuration.value("data") + "/verify.progress"
        var resume: JSON?
        if question.isResuming {
            guard let text = try PrivateFile.read(progressFile), let saved = try? JSON(parsing: text) else {
                throw CommandFailure(
                    .usage, "There is no interrupted verification in \(progressFile). Leave --resume away.")
            }
            resume = saved
        }
        let path = configuration.value("checkpoints_file")
        let verifier = Verifier(
            database: database, store: SQLLogStore(), catalog: Deployment.catalog, key: key,
            file: FileManager.default.fileExists(atPath: path) ? CheckpointFile(path: path) : nil)
        let terminal = terminal
        let found = try await verifier.run(against: question.against.map { [$0] } ?? [], resume: resume) { progress in
            let total = progress.total > 0 ? " of \(progress.total)" : ""
            terminal.progress("Verifying \(progress.phase.rawValue): \(progress.done)\(total)")
            // What can't be kept now is only worked out again.
            if let state = progress.resume { try? PrivateFile.write(state.canonicalText + "\n", to: progressFile) }
        }
        unlink(progressFile)
        var report = found
        let damage = try await IntegrityQueries.damage(in: database)
        if damage == nil {
            report.notes.append(
                "PostgreSQL's own check of its files was not run: it is an administrator's (pg_amcheck --database …).")
        }
        terminal.endProgress()
        return result(report, key, extra: (damage ?? []).map { "The database's own check: \($0)" })
    }

    // MARK: Offline

    private func verifyExport(_ path: String, key: VerifierKey, against: String?) throws(CommandFailure) -> VerifyResult
    {
        do {
            let report = try OfflineVerifier.verify(path: path, key: key, against: against.map { [$0] } ?? []) {
                terminal.progress("Verifying events: \($0)")
            }
            terminal.endProgress()
            return result(report, key, extra: [])
        } catch let error as NoteError {
            terminal.endProgress()
            throw CommandFailure(.usage, error.description)
        } catch {
            terminal.endProgress()
            throw CommandFailure(.unexpected, "\(path): \(error)")
        }
    }

    private func result(_ report: VerificationReport, _ key: VerifierKey, extra: [String]) -> VerifyResult {
        var findings = report.findings.map { finding in
            let place = [finding.index.map { "entry \($0)" }, finding.event, finding.row].compactMap(\.self)
            return
                "\(finding.kind.rawValue)\(place.isEmpty ? "" : " (\(place.joined(separator: ", ")))"): \(finding.detail)"
        }
        if report.more > 0 { findings.append("… and \(report.more) more.") }
        findings += extra
        var lines = [
            """
            \(report.eventsChecked) events of \(key.name), \(report.valuesChecked) sealed values, \
            \(report.checkpointsChecked) checkpoints and \(report.governedRowsChecked) governed rows were checked.
            """
        ]
        if report.eventsArchived > 0 {
            lines.append(
                "\(report.eventsArchived) events left for the archive when their retention ended; their hashes are in the tree."
            )
        }
        if report.erasedValues > 0 { lines.append("\(report.erasedValues) sealed values were erased on request.") }
        lines += report.notes
        lines.append("The log has \(report.size) entries with the root \(report.root.base64).")
        if findings.isEmpty { lines.append("Everything is as the log says.") }
        var json = report.json.object ?? [:]
        json["database_check"] = .array(extra.map(JSON.string))
        json["clean"] = .bool(findings.isEmpty)
        return VerifyResult(findings: findings, summary: lines.joined(separator: "\n"), json: .object(json))
    }

    // MARK: Receipts

    /// A receipt needs nothing but the log's public key.
    private func verifyReceipt(_ path: String, key: VerifierKey) throws(CommandFailure) -> VerifyResult {
        guard let data = FileManager.default.contents(atPath: path) else {
            throw CommandFailure(.usage, "\(path) can't be read.")
        }
        let receipt: Receipt
        do {
            receipt = try Receipt(try JSON(parsing: Array(data)))
        } catch {
            throw CommandFailure(.usage, "\(path) is not a receipt: \(error)")
        }
        do {
            try receipt.verify(key: key)
            let leaf = try LeafReader(receipt.leaf).json
            let signed = try Self.signed(receipt, leaf)
            return VerifyResult(
                findings: [],
                summary: """
                    The event \(leaf["id"]?.string ?? "") (\(leaf["action"]?.string ?? "")) is #\(receipt.index) in \
                    \(key.name), here up to #\(receipt.size - 1). \(receipt.sealed.count) sealed values are what it commits to\
                    \(receipt.erased.isEmpty ? "." : "; \(receipt.erased.count) were erased.")\
                    \(signed.map { " \($0)" } ?? "")
                    """)
        } catch {
            return VerifyResult(findings: [error.description], summary: "The receipt does not prove its event.")
        }
    }

    // MARK: Evidence

    private func verifyEvidence(_ json: JSON, key: VerifierKey) throws(CommandFailure) -> VerifyResult {
        let evidence: ApprovalEvidence
        do {
            evidence = try ApprovalEvidence(json)
        } catch {
            throw CommandFailure(.usage, error.description)
        }
        let report = evidence.verify(log: key, with: FidoCryptography())
        let verdict =
            report.holds
            ? "Everything holds: \(evidence.receipts.count) events of \(key.name)."
            : "The evidence of \(evidence.approvalID) does not hold."
        return VerifyResult(
            findings: report.findings, summary: (report.lines + [verdict]).joined(separator: "\n"),
            json: [
                "approval_id": .string(evidence.approvalID), "clean": .bool(report.holds),
                "lines": .array(report.lines.map(JSON.string)), "findings": .array(report.findings.map(JSON.string)),
            ])
    }

    private func verifyPackage(_ bytes: [UInt8], key: VerifierKey) throws(CommandFailure) -> VerifyResult {
        let pack: EvidencePack
        do {
            pack = try EvidencePack(bytes)
        } catch {
            throw CommandFailure(.usage, error.description)
        }
        let report = pack.verify(log: key)
        let verdict = report.holds ? "Everything holds." : "The evidence of \(pack.subject) does not hold."
        return VerifyResult(
            findings: report.findings, summary: (report.lines + [verdict]).joined(separator: "\n"),
            json: [
                "subject": .string(pack.subject), "clean": .bool(report.holds),
                "lines": .array(report.lines.map(JSON.string)), "findings": .array(report.findings.map(JSON.string)),
            ])
    }

    /// What a receipt's event says of a passkey that signed it; `nil` when none did.
    private static func signed(_ receipt: Receipt, _ leaf: JSON) throws(NoteError) -> String? {
        guard let member = receipt.sealed["intent"] else { return nil }
        do throws(PasskeyRefusal) {
            let intent = try SignedIntent(evidence: member.value)
            let origin = try intent.check(with: FidoCryptography())
            let action = intent.action
            let isRequest = action["decision"] == "request"
            let isSame =
                isRequest
                ? action["operation_id"] != nil && action["operation_id"] == leaf["operation_id"]
                    && action["reason_code"] == leaf["reason_code"]
                    // What creates something names no target when it is asked for.
                    && (action["target"] == nil || action["target"] == leaf["target"])
                    && ["justification", "ticket"].allSatisfy { action["sealed"]?[$0] == leaf["sealed"]?[$0] }
                : action["approval"] == leaf["approval_id"]
                    && leaf["action"]?.string == "approval.\(action["decision"]?.string ?? "")"
            let isOwn =
                intent.person == leaf["actor"]?["id"]?.string && action["person"]?.string == intent.person
                && (!isRequest || action["operation"] == leaf["action"]) && isSame
            guard isOwn else { throw PasskeyRefusal.otherAction }
            return "Its action was signed with a passkey (\(intent.key.algorithm.name)) at \(origin)."
        } catch {
            throw NoteError("The passkey's signature does not prove the event: \(error.sentence)")
        }
    }

    /// A key as it is written, or a file that holds one.
    private func verifierKey(_ text: String?) throws(CommandFailure) -> VerifierKey {
        guard var text else { throw CommandFailure(.usage, "Say which key to trust: --key KEY") }
        if let data = FileManager.default.contents(atPath: text) { text = String(decoding: data, as: UTF8.self) }
        do {
            return try VerifierKey(text.trimmingCharacters(in: .whitespacesAndNewlines))
        } catch {
            throw CommandFailure(.usage, "--key: \(error.description)")
        }
    }

    /// Puts a new key in the place of the old one, which is kept beside it; answers where.
    @discardableResult
    private static func put(_ waiting: String, at path: String, keeping old: LogKey) throws(CommandFailure) -> String {
        let kept = "\(path).\(old.verifier.hexID)"
        // Linked first: at no moment is there no key at its place.
        guard link(path, kept) == 0 || errno == EEXIST, rename(waiting, path) == 0 else {
            throw CommandFailure(
                .unexpected, "The new log is open, but its key could not be put in place: move \(waiting) to \(path).")
        }
        return kept
    }

    func openSuccessor(origin: String) async throws -> String {
        let deployment = try Deployment.load(environment: environment)
        let configuration = deployment.configuration
        let storage = try await deployment.serverStorage()
        let keys = try SecretKeys.load(configuration, makesMissing: false)
        let (database, leadership) = try storage.open()
        do {
            let path = configuration.value("log_key_file")
            guard deployment.isDemo == Deployment.isDemoOrigin(origin) else {
                throw CommandFailure(
                    .usage,
                    deployment.isDemo
                        ? "A demo's log is named demo.postern.example/…, so that nobody takes it for another."
                        : "demo.postern.example/… is the name of demos.")
            }
            let waiting = path + ".next"
            if let left = try LogKey.load(path: waiting) {
                guard case .file = SecretKeys.Place("log_key", configuration) else {
                    throw CommandFailure(
                        .refused,
                        "\(waiting) holds a key already. Move it to where log_key_command reads it, then try again.")
                }
                // An interrupted run: its key either is the log's by now, or was never used.
                if try await database.read({ try SQLLogStore().state($0) })?.origin == left.name {
                    try Self.put(waiting, at: path, keeping: keys.log)
                    await database.close()
                    return """
                        The log had gone on as \(left.name) already; its key is in place now. Set POSTERN_LOG_ORIGIN to it, \
                        publish its public key
                        \(left.verifier.text)
                        and start the server.
                        """
                }
                unlink(waiting)
            }
            let next = try LogKey.generate(name: origin)
            try PrivateFile.makeDirectory((path as NSString).deletingLastPathComponent)
            // The new key is safe on disk before anything is signed with it.
            try next.save(path: waiting)
            do {
                let note = try await Succession.open(
                    database: database, store: SQLLogStore(), records: SQLRecords(), leadership: leadership,
                    file: CheckpointFile(path: configuration.value("checkpoints_file")), oldKey: keys.log, newKey: next,
                    clock: .system)
                var rest = "Let log_key_command print it: the key is in \(waiting)."
                if case .file = SecretKeys.Place("log_key", configuration) {
                    rest = "The old key is kept as \(try Self.put(waiting, at: path, keeping: keys.log))."
                }
                await database.close()
                return """
                    \(note)
                    The log goes on as \(origin). Set POSTERN_LOG_ORIGIN to it, publish its new public key
                    \(next.verifier.text)
                    and start the server. \(rest)
                    """
            } catch let error as NoteError {
                unlink(waiting)
                throw CommandFailure(.refused, error.description)
            }
        } catch {
            await database.close()
            throw CommandFailure(error, storage)
        }
    }
}
