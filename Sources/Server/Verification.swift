import CommandLine
import Foundation
import Kernel
import Store

extension ServerInstallation {
    func verify(_ question: VerifyQuestion) async throws -> VerifyResult {
        if let receipt = question.receipt { return try verifyReceipt(receipt, key: try verifierKey(question.key)) }
        throw CommandFailure(.unexpected, "Only receipts can be verified yet.")
    }

    /// A receipt needs nothing but the log's public key.
    private func verifyReceipt(_ path: String, key: VerifierKey) throws(CommandFailure) -> VerifyResult {
        guard let data = FileManager.default.contents(atPath: path) else {
            throw CommandFailure(.usage, "\(path) can't be read.")
        }
        do {
            let receipt = try Receipt(try JSON(parsing: Array(data)))
            try receipt.verify(key: key)
            let leaf = try LeafReader(receipt.leaf).json
            return VerifyResult(
                findings: [],
                summary: """
                    The event \(leaf["id"]?.string ?? "") (\(leaf["action"]?.string ?? "")) is number \(receipt.index) of the \
                    \(receipt.size) entries of \(key.name). \(receipt.sealed.count) sealed values are what it commits to\
                    \(receipt.erased.isEmpty ? "." : "; \(receipt.erased.count) were erased.")
                    """)
        } catch let error as JSONSyntaxError {
            throw CommandFailure(.usage, "\(path) is not a receipt: \(error)")
        } catch let error as NoteError {
            return VerifyResult(findings: [error.description], summary: "The receipt does not prove its event.")
        } catch {
            throw CommandFailure(.unexpected, "\(error)")
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

    func openSuccessor(origin: String) async throws -> String {
        let deployment = try Deployment.load(environment: environment)
        let configuration = deployment.configuration
        let storage = try await deployment.serverStorage()
        let keys = try SecretKeys.load(configuration, makesMissing: false)
        let (database, leadership) = try storage.open()
        do {
            let path = configuration.value("log_key_file")
            let next = try LogKey.generate(name: origin)
            // The new key is safe on disk before anything is signed with it.
            let waiting = path + ".next"
            try next.save(path: waiting)
            do {
                let note = try await Succession.open(
                    database: database, store: SQLLogStore(), records: SQLRecords(), leadership: leadership,
                    file: CheckpointFile(path: configuration.value("checkpoints_file")), oldKey: keys.log, newKey: next,
                    clock: .system)
                let kept = "\(path).\(keys.log.verifier.hexID)"
                guard rename(path, kept) == 0, rename(waiting, path) == 0 else {
                    throw CommandFailure(
                        .unexpected,
                        "The new log is open, but its key could not be put in place: move \(waiting) to \(path).")
                }
                await database.close()
                return """
                    \(note)
                    The log goes on as \(origin). Set POSTERN_LOG_ORIGIN to it, publish its new public key
                    \(next.verifier.text)
                    and start the server. The old key is kept as \(kept).
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
