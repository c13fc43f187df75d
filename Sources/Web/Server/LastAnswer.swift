import HTTPTypes
import NIOCore
import NIOHTTPTypes

/// Ends a connection behind an answer that says `Connection: close`. Only the way out is closed: what the client is still
/// sending is taken, so that the answer isn't lost to a reset.
final class LastAnswer: ChannelOutboundHandler, RemovableChannelHandler {
    typealias OutboundIn = HTTPResponsePart
    typealias OutboundOut = HTTPResponsePart

    private var isLast = false

    func write(context: ChannelHandlerContext, data: NIOAny, promise: EventLoopPromise<Void>?) {
        let part = unwrapOutboundIn(data)
        if case .head(let head) = part { isLast = head.headerFields[.connection]?.lowercased() == "close" }
        guard isLast, case .end = part else { return context.write(data, promise: promise) }
        context.writeAndFlush(data, promise: promise)
        context.close(mode: .output, promise: nil)
    }
}
