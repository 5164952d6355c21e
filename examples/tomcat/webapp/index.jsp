<%--
  Counts the visits of one session, in the memory of this one server:

      {"edition": "v1", "server": "cart-v1-x7k2p", "session": "0A1B…", "visits": 3}

  ?sleep=8000 answers slowly: the first half at once, the rest after so many milliseconds (at most a minute).
--%><%@ page contentType="application/json; charset=UTF-8" trimDirectiveWhitespaces="true"
%><%@ page import="java.util.concurrent.atomic.AtomicInteger"
%><%
    AtomicInteger visits;
    synchronized (application) {
        visits = (AtomicInteger) session.getAttribute("visits");
        if (visits == null) {
            visits = new AtomicInteger();
            session.setAttribute("visits", visits);
        }
    }
    int visit = visits.incrementAndGet();
    String sleep = request.getParameter("sleep");
    response.setHeader("X-Server", System.getenv("HOSTNAME"));
%>{"edition": "<%= System.getenv("EDITION") %>", "server": "<%= System.getenv("HOSTNAME") %>", <%
    if (sleep != null) {
        out.flush();
        Thread.sleep(Math.min(Long.parseLong(sleep), 60000));
    }
%>"session": "<%= session.getId() %>", "visits": <%= visit %>}
