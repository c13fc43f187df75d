import CCurl
import Foundation
import Kernel

/// One conversation with a mail server, through libcurl, on the thread that calls it.
struct SMTPTransfer {
    private let settings: MailCourier.Settings
    /// `nil` only greets and signs in.
    private let to: String?
    private let bytes: [UInt8]
    private let stop: StopMark

    init(_ settings: MailCourier.Settings, to: String?, bytes: [UInt8], stop: StopMark) {
        self.settings = settings
        self.to = to
        self.bytes = bytes
        self.stop = stop
    }

    /// What libcurl still has to take.
    private final class Upload {
        let bytes: [UInt8]
        var taken = 0
        init(_ bytes: [UInt8]) { self.bytes = bytes }

        func take(into buffer: UnsafeMutablePointer<CChar>, _ most: Int) -> Int {
            let count = min(most, bytes.count - taken)
            bytes.withUnsafeBytes { source in
                UnsafeMutableRawPointer(buffer).copyMemory(from: source.baseAddress! + taken, byteCount: count)
            }
            taken += count
            return count
        }
    }

    /// CURL_GLOBAL_ALL, before anybody's first handle.
    private static let isReady = curl_global_init(3) == CURLE_OK

    func perform() -> SendOutcome {
        // Both outlive the handle, which points to them.
        let reply = SMTPReply()
        let step = UnsafeMutablePointer<CChar>.allocate(capacity: Int(CURL_ERROR_SIZE))
        step.initialize(repeating: 0, count: Int(CURL_ERROR_SIZE))
        defer {
            withExtendedLifetime(reply) {}
            step.deallocate()
        }
        guard Self.isReady, let handle = curl_easy_init() else {
            return .failed(status: nil, note: "libcurl can’t be used")
        }
        defer { curl_easy_cleanup(handle) }
        let upload = Upload(bytes)
        var recipients: UnsafeMutablePointer<curl_slist>?
        defer { curl_slist_free_all(recipients) }
        let code = withExtendedLifetime((upload, stop)) { () -> CURLcode in
            configure(handle)
            listen(reply, step, handle)
            if let to {
                recipients = curl_slist_append(nil, "<\(to)>")
                send(upload, to: recipients, handle)
            } else {
                _ = postern_curl_set_long(handle, CURLOPT_NOBODY, 1)
                _ = postern_curl_set_text(handle, CURLOPT_CUSTOMREQUEST, "NOOP")
            }
            return curl_easy_perform(handle)
        }
        var (status, verified) = (0, 0)
        _ = postern_curl_response_code(handle, &status)
        if code == CURLE_PEER_FAILED_VERIFICATION {
            _ = postern_curl_verify_result(handle, &verified)
            return .failed(status: nil, note: distrust(verified))
        }
        return outcome(code, status: Int64(status), reply, step: String(cString: step))
    }

    private func configure(_ handle: UnsafeMutableRawPointer) {
        let isImplicit = settings.url.hasPrefix("smtps://")
        _ = postern_curl_set_text(handle, CURLOPT_URL, address)
        _ = postern_curl_set_text(handle, CURLOPT_PROTOCOLS_STR, "smtp,smtps")
        if !isImplicit { _ = postern_curl_set_long(handle, CURLOPT_USE_SSL, Int(CURLUSESSL_ALL.rawValue)) }
        _ = postern_curl_set_long(handle, CURLOPT_SSLVERSION, 6)  // CURL_SSLVERSION_TLSv1_2 and newer
        if let path = settings.authorities {
            _ = postern_curl_set_text(handle, CURLOPT_CAINFO, path)
            _ = postern_curl_set_text(handle, CURLOPT_CAPATH, nil)
        }
        if let user = settings.user { _ = postern_curl_set_text(handle, CURLOPT_USERNAME, user) }
        if let password = settings.password { _ = postern_curl_set_text(handle, CURLOPT_PASSWORD, password) }
        // Threads and signals don't go together.
        _ = postern_curl_set_long(handle, CURLOPT_NOSIGNAL, 1)
        _ = postern_curl_set_long(handle, CURLOPT_CONNECTTIMEOUT_MS, Int(settings.timeout.microseconds / 1000))
        _ = postern_curl_set_long(handle, CURLOPT_TIMEOUT_MS, Int(settings.timeout.microseconds / 1000))
        _ = postern_curl_set_long(handle, CURLOPT_NOPROGRESS, 0)
        _ = postern_curl_set_pointer(handle, CURLOPT_XFERINFODATA, Unmanaged.passUnretained(stop).toOpaque())
        _ = postern_curl_set_progress(handle) { mark, _, _, _, _ in
            guard let mark else { return 0 }
            return Unmanaged<StopMark>.fromOpaque(mark).takeUnretainedValue().isSet ? 1 : 0
        }
    }

    /// What the server says is for nobody's eyes, because it may repeat what it was sent: digits are kept of it, and at which step it
    /// refused to go on.
    private func listen(_ reply: SMTPReply, _ step: UnsafeMutablePointer<CChar>, _ handle: UnsafeMutableRawPointer) {
        _ = postern_curl_set_pointer(handle, CURLOPT_ERRORBUFFER, step)
        _ = postern_curl_set_transfer(handle, CURLOPT_WRITEFUNCTION) { _, size, count, _ in size * count }
        _ = postern_curl_set_pointer(handle, CURLOPT_HEADERDATA, Unmanaged.passUnretained(reply).toOpaque())
        _ = postern_curl_set_transfer(handle, CURLOPT_HEADERFUNCTION) { line, size, count, reply in
            if let line, let reply {
                Unmanaged<SMTPReply>.fromOpaque(reply).takeUnretainedValue()
                    .take(UnsafeRawBufferPointer(start: line, count: size * count))
            }
            return size * count
        }
    }

    private func send(
        _ upload: Upload, to recipients: UnsafeMutablePointer<curl_slist>?, _ handle: UnsafeMutableRawPointer
    ) {
        _ = postern_curl_set_text(handle, CURLOPT_MAIL_FROM, "<\(settings.from.address)>")
        _ = postern_curl_set_list(handle, CURLOPT_MAIL_RCPT, recipients)
        _ = postern_curl_set_long(handle, CURLOPT_UPLOAD, 1)
        _ = postern_curl_set_pointer(handle, CURLOPT_READDATA, Unmanaged.passUnretained(upload).toOpaque())
        _ = postern_curl_set_transfer(handle, CURLOPT_READFUNCTION) { buffer, size, count, upload in
            guard let buffer, let upload else { return 0 }
            return Unmanaged<Upload>.fromOpaque(upload).takeUnretainedValue().take(into: buffer, size * count)
        }
    }

    /// The path is what libcurl greets the server with: the sender's domain, when the URL names nothing else.
    private var address: String {
        let rest = settings.url.split(separator: "/", omittingEmptySubsequences: true)
        return rest.count > 2 ? settings.url : "\(rest[0])//\(rest[1])/\(settings.from.domain)"
    }

    /// Why a certificate does not do, by what OpenSSL answered.
    private func distrust(_ result: Int) -> String {
        switch result {
        // The chain holds, so it is the name: compared by libcurl (0, 1) or by OpenSSL (62, 64).
        case 0, 1, 62, 64: "The mail server’s certificate is for another name than \(host)"
        case 9: "The mail server’s certificate is not valid yet"
        case 10: "The mail server’s certificate has expired"
        default:
            settings.authorities == nil
                ? "The mail server’s certificate is not trusted: no authority this system knows has signed it"
                : "The mail server’s certificate is not trusted: no authority of smtp_ca_file has signed it"
        }
    }

    private var host: String { URL(string: settings.url)?.host() ?? settings.url }

    private func outcome(_ code: CURLcode, status: Int64, _ reply: SMTPReply, step: String) -> SendOutcome {
        let answered = status > 0 ? status : nil
        switch code {
        case CURLE_OK: return .delivered(status: status)
        case CURLE_ABORTED_BY_CALLBACK: return .interrupted
        case CURLE_COULDNT_RESOLVE_HOST: return .failed(status: nil, note: "The mail server’s name can’t be resolved")
        case CURLE_COULDNT_CONNECT: return .failed(status: nil, note: "No connection to the mail server")
        case CURLE_OPERATION_TIMEDOUT:
            return .failed(
                status: nil, note: "The mail server did not answer within \(settings.timeout.seconds) seconds")
        case CURLE_USE_SSL_FAILED: return .failed(status: nil, note: "The mail server offers no STARTTLS")
        case CURLE_SSL_CONNECT_ERROR: return .failed(status: nil, note: "No TLS connection to the mail server")
        case CURLE_SSL_CACERT_BADFILE:
            return .failed(status: nil, note: "The file of trusted authorities can’t be read")
        case CURLE_LOGIN_DENIED:
            return .failed(status: answered, note: "The mail server refused the user or the password")
        default:
            if let answered, reply.isOfRecipient(answered, step: step) {
                return .refused(status: answered, note: "The mail server refused it: \(answered)")
            }
            return .failed(
                status: answered,
                note: answered.map { "The mail server answered \($0)" } ?? "The conversation broke off")
        }
    }
}
