#pragma once
#include <functional>
#include <memory>
#include <string>

#include "base/core/result.h"

namespace scopenode::dicom_node {

struct HttpResponse {
    int status = 200;
    std::string content_type = "text/plain; charset=utf-8";
    std::string body;
};
/// GET path -> response; called on the server's thread. Nothing: 404 as problem+json (RFC 9457).
using HttpHandler = std::function<HttpResponse(const std::string& method, const std::string& path)>;
HttpResponse problem(Code code, const std::string& detail);

/// HTTP/1.1 on one thread (Boost.Beast), limits on header, body and time. Thread-safe.
class HttpServer {
  public:
    static Result<std::unique_ptr<HttpServer>> start(const std::string& bind, int port, HttpHandler handler);
    ~HttpServer();
    int port() const;
    void stop();

  private:
    struct State;
    explicit HttpServer(std::unique_ptr<State> state);
    std::unique_ptr<State> state_;
};

}  // namespace scopenode::dicom_node
